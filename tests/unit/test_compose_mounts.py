"""What is mounted holds what it held: no two data in one volume, none twice, no part in the place of the whole."""

from tests.unit.compose_kit import converted, entry, refused


def test_what_is_called_alike_and_holds_something_else_has_a_volume_of_its_own():
    done = converted(
        "services: {a: {image: x, volumes: ['./data:/data', './a/b:/b', './a-b:/c', /cache]}, "
        "b: {image: y, volumes: ['data:/data', './data:/theirs', a-cache:/cache]}}\n"
        "volumes: {data: , a-cache: }"
    )
    assert refused(done) == {}
    assert entry(done, "a")["volumes"] == ["data-2:/data", "a-b:/b", "a-b-2:/c", "a-cache-2:/cache"]
    assert entry(done, "b")["volumes"] == ["data:/data", "data-2:/theirs", "a-cache:/cache"]
    assert "data-2 (now the folder data)" in "".join(done.told.todo)
