"""What was deleted is listed and comes back by command, over memory."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

from infra.admin.groups import deleted
from shared.administration import Administration, administration
from shared.model.digest import Digest
from shared.model.manifests.manifest import Manifest
from shared.model.names import RepositoryName, Tag
from shared.services.content.manifests import Manifests
from shared.services.content.pushes import Pushes
from shared.services.deletions.repositories import RepositoryDeletions
from shared.settings import Settings
from shared.storage import keys
from shared.storage.ports import Change, Delete
from tests.admin.conftest import Run
from tests.support.app import NAME, Memory
from tests.support.causes import ME
from tests.support.clock import Clock
from tests.unit.services.conftest import REPOSITORY, hold, image_of, parts

OTHER = RepositoryName("other")
TWO = parts(2)
IMAGES = [image_of(TWO, annotations={"n": str(number)}) for number in range(4)]
IMAGE = IMAGES[0]
TAGS = [Tag("latest"), Tag("v1")]


class Kept:
    """A registry in memory, in which images come and go."""

    def __init__(self, memory: Memory, settings: Settings) -> None:
        self.memory, self._settings = memory, settings

    def push(
        self, image: Manifest, tags: Sequence[Tag] = (), repository: RepositoryName = REPOSITORY
    ) -> None:
        async def push(here: Administration) -> None:
            stores = here.jobs.stores
            await hold(stores, *TWO, repository=repository)
            await Pushes(stores, is_sparse_allowed=False).put(repository, image, tags, by=ME)

        self._do(push)

    def delete(self, image: Manifest, repository: RepositoryName = REPOSITORY) -> None:
        async def delete(here: Administration) -> None:
            manifests = Manifests(here.jobs.stores, timedelta(days=7))
            await manifests.delete(repository, image.digest, by=ME)
            await here.jobs.stores.index.keep(repository)  # as upkeep does

        self._do(delete)

    def delete_repository(self) -> None:
        async def delete(here: Administration) -> None:
            deletions: RepositoryDeletions = here.jobs.deletions
            await deletions.delete(REPOSITORY, by=ME)

        self._do(delete)

    def lose(self, digest: str) -> None:
        async def lose(here: Administration) -> None:
            changes: list[Change] = [Delete(keys.blob(Digest.parse(digest)))]
            await here.jobs.stores.contents.commit(REPOSITORY, changes)

        self._do(lose)

    def rows(self) -> list[str]:
        return [key for prefix in ("manifest|", "tag|") for key in self.memory.keys(prefix)]

    def _do(self, work: object) -> None:
        async def do() -> None:
            async with administration(self._settings, NAME) as here:
                assert here
                await work(here)  # type: ignore[operator]

        asyncio.run(do())


@pytest.fixture
def kept(registry: None, environment: dict[str, str], memory: Memory) -> Kept:
    return Kept(memory, Settings.from_env(environment))


def test_what_was_deleted_is_listed(kept: Kept, run: Run) -> None:
    kept.push(IMAGE, TAGS)
    kept.push(IMAGES[1], repository=OTHER)
    kept.delete(IMAGE)
    kept.delete(IMAGES[1], OTHER)
    listed = json.loads(run("deleted", "list", "-o", "json").stdout)
    assert [one["repository"] for one in listed] == [OTHER, REPOSITORY]
    assert listed[1]["digest"] == str(IMAGE.digest)
    assert listed[1]["tags"] == ["latest", "v1"]
    assert listed[1]["by"] == ME.by
    (one,) = json.loads(run("deleted", "list", REPOSITORY, "-o", "json").stdout)
    assert one == listed[1]
    heading, line = run("deleted", "list", REPOSITORY).stdout.splitlines()
    assert heading.split()[:3] == ["REPOSITORY", "DIGEST", "TAGS"]
    assert line.split()[:4] == [REPOSITORY, str(IMAGE.digest), "latest,", "v1"]


def test_lists_are_read_in_pages(kept: Kept, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleted, "_LIVES", 1)
    monkeypatch.setattr(deleted, "_NAMES", 1)
    for repository in (REPOSITORY, OTHER):
        for image in IMAGES[:3]:
            kept.push(image, repository=repository)
            kept.delete(image, repository)
    listed = json.loads(run("deleted", "list", "-o", "json").stdout)
    digests = sorted(str(image.digest) for image in IMAGES[:3])
    assert [(one["repository"], one["digest"]) for one in listed] == [
        (repository, digest) for repository in (OTHER, REPOSITORY) for digest in digests
    ]


def test_where_nothing_is_kept_the_list_is_empty(kept: Kept, run: Run, clock: Clock) -> None:
    assert run("deleted", "list").stdout.startswith("nothing that was deleted is kept; what")
    done = run("deleted", "list", "never/pushed", "-o", "json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, [])
    kept.push(IMAGE)
    kept.delete(IMAGE)
    clock.move(days=7, seconds=1)
    assert run("deleted", "list").stdout.startswith("nothing that was deleted is kept; what")


@pytest.mark.parametrize(
    "named",
    [
        [REPOSITORY, str(IMAGE.digest)],
        [f"{REPOSITORY}@{IMAGE.digest}"],
        [f"{REPOSITORY}:latest@{IMAGE.digest}"],
        [f"localhost:7071/{REPOSITORY}@{IMAGE.digest}"],
        [f"registry.example.com/{REPOSITORY}", str(IMAGE.digest)],
    ],
)
def test_a_manifest_comes_back_as_clients_name_it(
    kept: Kept, run: Run, environment: dict[str, str], named: list[str]
) -> None:
    environment["REGISTRY_ROOT_DOMAIN"] = "example.com"
    kept.push(IMAGE, TAGS)
    before = kept.rows()
    kept.delete(IMAGE)
    kept.push(IMAGES[1], TAGS[1:])
    done = run("deleted", "restore", *named, "-o", "json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["message"] == f"{REPOSITORY}@{IMAGE.digest} is back, with latest"
    assert document["tags"] == ["latest"]
    assert sorted(kept.rows()) == sorted([*before, keys.manifest(IMAGES[1].digest)])


def test_a_life_is_chosen(kept: Kept, run: Run) -> None:
    for tag in TAGS:
        kept.push(IMAGE, [tag])
        kept.delete(IMAGE)
    lives = json.loads(run("deleted", "list", "-o", "json").stdout)
    (first,) = [one for one in lives if one["tags"] == ["latest"]]
    done = run("deleted", "restore", REPOSITORY, str(IMAGE.digest), "--life", first["life"])
    assert done.stdout == f"{REPOSITORY}@{IMAGE.digest} is back, with latest\n"


def test_the_life_deleted_last_comes_back_unless_another_is_chosen(kept: Kept, run: Run) -> None:
    for tag in TAGS:
        kept.push(IMAGE, [tag])
        kept.delete(IMAGE)
    done = run("deleted", "restore", REPOSITORY, str(IMAGE.digest))
    assert done.stdout == f"{REPOSITORY}@{IMAGE.digest} is back, with v1\n"


def test_all_of_a_repository_comes_back(kept: Kept, run: Run) -> None:
    for image in IMAGES:
        kept.push(image, TAGS)
    before = kept.rows()
    kept.delete(IMAGES[1])
    kept.delete_repository()
    done = run("deleted", "restore", REPOSITORY, "--all", "-o", "json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "message": f"4 manifests of {REPOSITORY} are back, 0 are not",
        "repository": REPOSITORY,
        "back": 4,
        "not_back": 0,
        "why": [],
    }
    assert kept.rows() == before


def test_a_repository_comes_back_as_it_was(kept: Kept, run: Run) -> None:
    for image in IMAGES:
        kept.push(image)
    kept.delete(IMAGES[1])
    refused = run("deleted", "restore", REPOSITORY, "--as-it-was")
    assert refused.stderr.startswith(f"admin: {REPOSITORY} was not deleted as a whole: take --all")
    before = kept.rows()
    kept.delete_repository()
    assert run("deleted", "restore", REPOSITORY, "--as-it-was").exit_code == 0
    assert kept.rows() == before


def test_what_does_not_come_back_is_told_and_the_command_ends_with_1(kept: Kept, run: Run) -> None:
    for image in IMAGES:
        kept.push(image)
        kept.delete(image)
    kept.lose(TWO[1].digest)
    done = run("deleted", "restore", REPOSITORY, "--all", "-o", "json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["back"], document["not_back"]) == (1, 0, 4)
    assert document["why"][0]["why"] == f"blobs of it are not there any more: {TWO[1].digest}"
    assert "0 manifests of" in run("deleted", "restore", REPOSITORY, "--all").stdout
    one = run("deleted", "restore", REPOSITORY, str(IMAGE.digest))
    assert (one.exit_code, one.stdout, one.stderr.count("\n")) == (1, "", 1)
    assert f"({TWO[1].digest}): push them, and repeat this" in one.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["UPPER", str(IMAGE.digest)], "'UPPER' is not a repository name"),
        (["team/app", "latest"], "'latest' is not a digest"),
        (["team/app", "sha256:123"], "a sha256 digest has 64 digits"),
        (["team/app@latest"], "'latest' is not a digest"),
        (["team/app:-@" + str(IMAGE.digest)], "'-' is not a tag"),
        (["team/app", str(IMAGES[1].digest)], "can come back"),
        (["none", str(IMAGE.digest)], "can come back"),
        (["team/app", str(IMAGE.digest), "--life", "0" * 32], "is not found"),
        (["team/app", str(IMAGE.digest), "--life", "../x"], "'../x' is not the ID of a life"),
        (["none", "--all"], "nothing that was deleted from none can come back"),
        (["none", "--as-it-was"], "none was not deleted as a whole"),
    ],
)
def test_what_is_wrong_or_not_there_is_one_line_and_changes_nothing(
    kept: Kept, run: Run, memory: Memory, arguments: list[str], complaint: str
) -> None:
    kept.push(IMAGE, TAGS)
    kept.delete(IMAGE)
    before = memory.kept()
    done = run("deleted", "restore", *arguments)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert complaint in done.stderr
    assert memory.kept() == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["team/app"], "say which digest of team/app: REPOSITORY DIGEST, or REPOSITORY@DIGEST"),
        (["team/app@" + str(IMAGE.digest), str(IMAGE.digest)], "has a digest already"),
        (["team/app", "--all", "--as-it-was"], "take one of --all, --as-it-was or a DIGEST"),
        (["team/app", str(IMAGE.digest), "--all"], "take one of --all"),
        (["a@b", "--all"], "take one of --all"),
    ],
)
def test_what_does_not_go_together_is_a_wrong_call(
    kept: Kept, run: Run, memory: Memory, arguments: list[str], complaint: str
) -> None:
    before = memory.kept()
    done = run("deleted", "restore", *arguments)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert complaint in done.stderr
    assert memory.kept() == before


def test_a_list_of_what_is_no_repository_is_refused(kept: Kept, run: Run) -> None:
    done = run("deleted", "list", "a//b")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("admin: 'a//b' is not a repository name")
