"""Images written as files: what Docker and containerd read of them."""

import hashlib
import json
import stat
import tarfile

from tools.cluster import archive


def _written(tmp_path):
    program = tmp_path / "program"
    program.write_bytes(b"#!/bin/sh\n")
    layer = archive.layer(tmp_path / "layer.tar", {"usr/local/bin/program": program})
    archive.write(tmp_path / "image.tar", archive.Image("example/program:1", [layer], {"Entrypoint": ["/program"]}))
    return layer, tarfile.open(tmp_path / "image.tar")


def test_the_manifest_names_the_image_its_config_and_its_layers(tmp_path):
    _, image = _written(tmp_path)
    with image:
        [manifest] = json.load(image.extractfile("manifest.json"))
        config = image.extractfile(manifest["Config"]).read()
        assert manifest["RepoTags"] == ["example/program:1"]
        assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
        assert json.loads(config)["config"] == {"Entrypoint": ["/program"]}


def test_each_layer_has_the_digest_that_the_config_promises(tmp_path):
    layer, image = _written(tmp_path)
    with image:
        [manifest] = json.load(image.extractfile("manifest.json"))
        config = json.load(image.extractfile(manifest["Config"]))
        content = image.extractfile(manifest["Layers"][0]).read()
    assert content == layer.read_bytes()
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(content).hexdigest()}"]


def test_a_program_in_a_layer_is_root_s_and_executable(tmp_path):
    layer, image = _written(tmp_path)
    image.close()
    with tarfile.open(layer) as files:
        member = files.getmember("usr/local/bin/program")
    assert (member.uid, member.gid, stat.S_IMODE(member.mode)) == (0, 0, 0o755)
