"""A policy of the cluster that refuses pods with some image."""

from collections.abc import Iterator
from contextlib import contextmanager

from e2e.behind_a_shell import dry_run
from tools.image import SUPERVISE_REPOSITORY
from tools.kube import Json, Kube
from webhook.api import ApiError


@contextmanager
def images_refused(kube: Kube, image: str = SUPERVISE_REPOSITORY, **where: Json) -> Iterator[None]:
    """While this runs, no pod may have a container of this image."""
    name = "no-such-image"
    rule = f"!c.image.startsWith('{image}')"
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ],
            **where,
        },
        "validations": [
            {
                "expression": f"object.spec.containers.all(c, {rule}) && "
                f"(!has(object.spec.initContainers) || object.spec.initContainers.all(c, {rule}))",
                "message": "no such image here",
            }
        ],
    }
    group = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    binding = {"policyName": name, "validationActions": ["Deny"]}
    kube.apply(
        {**group, "kind": "ValidatingAdmissionPolicy", "spec": spec},
        {**group, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
    )
    try:
        yield
    finally:
        kube("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", name)


def refuses(kube: Kube, namespace: str, pod: Json) -> bool:
    try:
        dry_run(kube, namespace, pod)
    except ApiError as error:
        return "no such image here" in str(error)
    return False
