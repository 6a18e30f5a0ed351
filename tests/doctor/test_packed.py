"""Lists of objects as compact JSON."""

from webhook.doctor.packed import PackedObjects

OBJECTS = [
    {"kind": "Pod", "metadata": {"name": f"p-{n}", "annotations": {"skip": "x"} if n == 1 else {}}} for n in range(3)
]


def test_given_objects_then_each_reading_gives_them_anew():
    packed = PackedObjects(OBJECTS)
    assert [*packed] == OBJECTS
    assert (len(packed), packed[1], packed[1:]) == (3, OBJECTS[1], OBJECTS[1:])
    packed[0]["kind"] = "changed"
    assert packed[0] == OBJECTS[0]


def test_given_two_lists_then_one_takes_over_the_others_objects():
    packed = PackedObjects(OBJECTS[:1])
    packed.extend(PackedObjects(OBJECTS[1:]))
    assert [*packed] == OBJECTS


def test_given_a_copy_when_it_grows_then_the_first_does_not():
    first = PackedObjects(OBJECTS)
    PackedObjects(first).append({"kind": "Pod"})
    assert len(first) == 3


def test_only_objects_that_hold_the_word_are_asked_about():
    asked = []

    def is_out(manifest):
        asked.append(manifest)
        return True

    assert [*PackedObjects(OBJECTS).without("skip", is_out)] == [OBJECTS[0], OBJECTS[2]]
    assert asked == [OBJECTS[1]]
