"""Several replicas on one storage: whoever answers, it is one registry."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from tests.host.conftest import Replica, Start
from tests.support import flows
from tests.support.hosts import Registry
from tests.support.images import blob, image, random_bytes

pytestmark = pytest.mark.emulator

MIB = 1 << 20
PUSHERS = 4
TAGS = ("v1", "v2")


def test_an_upload_begun_at_one_goes_on_at_the_other(replica: Replica, start: Start) -> None:
    one, other = replica[1], start()[1]
    content = blob(random_bytes(9 * MIB, 1))
    first, second = content.content[: 4 * MIB], content.content[4 * MIB :]
    with (
        flows.connect(one, "replicas/moved") as here,
        flows.connect(other, "replicas/moved") as there,
    ):
        there.headers["Host"] = one.login_server  # as behind one proxy
        there.headers["Authorization"] = here.headers["Authorization"]
        location = flows.start_upload(here, "replicas/moved")
        location = flows.send_piece(there, location, first, 0)
        status = here.get(location)
        assert (status.status_code, status.headers["Range"]) == (204, f"0-{len(first) - 1}")
        location = flows.send_piece(here, status.headers["Location"], second, len(first))
        assert flows.finish_upload(there, location, content.digest).status_code == 201
        assert flows.pull_blob(here, "replicas/moved", content.digest) == content.content


def persistently(push: Callable[[Registry], None], replicas: Sequence[Registry]) -> int:
    """Push, and repeat it at the next replica where one fails; give how many tries that took."""
    for tries in range(20):
        try:
            push(replicas[tries % len(replicas)])
        except (httpx.TransportError, httpx.HTTPStatusError, AssertionError):
            time.sleep(0.1)
        else:
            return tries + 1
    raise AssertionError("the push never succeeded")


def test_of_two_under_load_one_is_killed_in_the_midst_of_an_upload(
    replica: Replica, start: Start
) -> None:
    (victim, one), (_, other) = start(), replica
    images = [image(100 + number, size=2 * MIB) for number in range(PUSHERS)]
    cut = image(200, size=8 * MIB)
    layer = cut.layers[0].blob

    def pushes(number: int) -> int:
        repository, built = f"replicas/load{number}", images[number]
        order = [one, other][:: 1 if number % 2 else -1]
        push = partial(flows.push, repository=repository, root=built)
        return sum(persistently(partial(push, reference=tag), order) for tag in TAGS)

    def killing() -> Iterator[bytes]:
        yield layer.content[: 5 * MIB]
        victim.kill()
        yield layer.content[5 * MIB :]

    with ThreadPoolExecutor(PUSHERS) as pool:
        load = [pool.submit(pushes, number) for number in range(PUSHERS)]
        time.sleep(0.2)
        with flows.connect(one, "replicas/cut") as client:
            location = flows.start_upload(client, "replicas/cut")
            with pytest.raises(httpx.TransportError):
                client.patch(location, content=killing())
        assert not all(each.done() for each in load)
        again = partial(flows.push, repository="replicas/cut", root=cut, reference="v1")
        assert persistently(again, [one, other]) == 2
        assert sum(each.result() for each in load) > len(TAGS) * PUSHERS
    assert flows.pull(other, "replicas/cut", "v1") == flows.pulled(cut)
    for number, built in enumerate(images):
        for tag in TAGS:
            assert flows.pull(other, f"replicas/load{number}", tag) == flows.pulled(built)


def test_300_mib_with_a_length_go_through_in_bounded_memory(replica: Replica) -> None:
    host, registry = replica
    size = 300 * MIB
    with flows.connect(registry, "replicas/large") as client:
        flows.push_blob(client, "replicas/large", blob(random_bytes(9 * MIB, 2)))  # warm
        before = host.resident_bytes()
        host.reset_peak()
        location = flows.start_upload(client, "replicas/large")
        headers = {"Content-Length": str(size)}
        answer = client.patch(location, content=zeros(size), headers=headers)
        assert answer.status_code == 202, answer.text
        assert answer.headers["Range"] == f"0-{size - 1}"
        client.delete(answer.headers["Location"]).raise_for_status()
    assert host.peak_bytes() - before < 64 * MIB


def zeros(size: int) -> Iterator[bytes]:
    for _ in range(size // MIB):
        yield bytes(MIB)
