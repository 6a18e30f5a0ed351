"""What is read from a node of an OSMO run: what was uploaded whole, and what was cut."""

from e2e.osmo.nodes import cut_uploads, whole_uploads

FILES = [
    "events",
    "uploads/s3:%2F%2Fbucket%2Frun/1/checkpoint.pth",
    "uploads/s3:%2F%2Fbucket%2Frun/2/shards/0",
    "uploads/s3:%2F%2Fbucket%2Fother/3.PART/checkpoint.pth",
]


def test_whole_uploads_are_told_from_cut_ones_by_address():
    assert whole_uploads(FILES) == {"s3://bucket/run": {"checkpoint.pth", "shards/0"}}
    assert cut_uploads(FILES) == {"s3://bucket/other": {"checkpoint.pth"}}


def test_nothing_was_uploaded_where_there_are_only_events():
    assert whole_uploads(["events"]) == cut_uploads(["events"]) == {}
