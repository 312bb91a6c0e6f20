"""Every table, key, object name and queue: the map, and the only place that builds one.

    table registries   registry         NAME                generation, layout, policies
                       keys|GENERATION  KID                 a signing key, sealed
                       sweep|GENERATION position            where the sweep goes on
                                        begun               written when its last round began
                       failing          ID                  a letter that failed, why, and when
                                                            it is tried again
                                        unreadable|ID       one that nobody here can read
                       scrub|GENERATION position            where the scrub goes on, what it counts
                                        bad|HEX             an object found bad, or missing
    table accounts     GENERATION       NAME                password (hashed), stamp, state
    table repositories GENERATION       REPO                an index of names, for the catalog
                       deleted|GENERATION  REPO             a name of which something is kept
    table contents     GENERATION|REPO  repository          from the first manifest on; created
                                        writable            there while pushes may come
                                        manifest|DIGEST     there while live: life, media type, body
                                        build|DIGEST|LIFE   a push of many references under way
                                        deleted|DIGEST|LIFE what manifest|DIGEST was, until when,
                                                            and why, if nobody wished it
                                        tag|TAG             digest, media type, size, times
                                        tagged|DIGEST|TAG   the same, from the manifest's side
                                        newest|INVERSE|TAG  the same, by time, newest first
                                        moved|TAG|INVERSE   what a tag pointed to before
                                        used|TAG            where no tag's name is used again
                                        referrer|SUBJECT|DIGEST   the descriptor to list
                                        blob|DIGEST         link: size, object, last seen
                                        edge|TARGET|DIGEST|LIFE   that life of DIGEST uses TARGET
                                        outbox|TIME-ID      event: waiting, then handed on
    table blobs        GENERATION|DIGEST  content           object and its ETag, size, state, when
                                                            its bytes were last verified
                                        gone|HEX            ETag of bytes out of use, to be removed
                                        good|HEX            there while content names HEX, and is
                                                            sound: joined blindly
                                        repo|REPO           a repository that holds the blob
    table webhooks     GENERATION       NAME                a webhook (NAME in small letters), its
                                                            secrets sealed, how its receiver does
                       GENERATION|ID    delivery|INVERSE-ID an event for this webhook, what has
                                                            become of it
                                        attempt|INVERSE-ID|N   what was sent, and the answer
                                        waiting|TIME-ID     there while the delivery waits
                                        failed|TIME-ID      there once nobody tries it any more
    container content  GENERATION/HEX   a blob, or (HEX = LIFE) a manifest's body, or a copy of one
                                        that is in its row; HEX is drawn anew
    container registries GENERATION     what a rebuild must know of a registry: its row, state, time
                       GENERATION/INVERSE  the same before each change of it
                         master-key     the master keys, wrapped and signed by a vault; not where
                                        the settings give one
                         halted         there while rows may be missing: nothing is to be removed
                         halted/ID      a rebuild that is under way, or was killed: halted stays
    queue events                        the keys of outbox rows, sent before these are written
    queue upkeep                        errands: an event to follow, a sequence to bring to its end
    queue garbage                       blobs that a repository may not need any more
    queue verification                  objects to be hashed once more, and how far that is
    queue blob-events                   objects that were made, as Event Grid tells of them
    queue deliveries                    deliveries to make, receivers to probe, one webhook each
    queue later                         what is to sleep for long, with its queue and its time
    queue NAME-poison, webjobs-blobtrigger-poison   what the host has given up; made by it alone

GENERATION is a registry's id, new on each creation: a registry that is created again sees nothing
of the one before. LIFE is an id for each time that a manifest was pushed and not there. INVERSE is
a time that sorts backwards. REPO is a repository's name in an order-preserving code without the `/`
that keys forbid.

When a manifest's body was last verified is written nowhere. Its row is the wrong place: the time of
the row's last change says when somebody last relied on the manifest, and a purge of its subject
goes by that. What has rotted is deleted, so what is there was sound when it was last looked at.
"""

from datetime import UTC, datetime, timedelta

from shared.model.digest import Digest
from shared.model.names import RepositoryName, Tag

REGISTRIES = "registries"
ACCOUNTS = "accounts"
REPOSITORIES = "repositories"
CONTENTS = "contents"
BLOBS = "blobs"
WEBHOOKS = "webhooks"
TABLES = (REGISTRIES, ACCOUNTS, REPOSITORIES, CONTENTS, BLOBS, WEBHOOKS)

EVENTS = "events"
UPKEEP = "upkeep"
GARBAGE = "garbage"
VERIFICATION = "verification"
BLOB_EVENTS = "blob-events"
DELIVERIES = "deliveries"
LATER = "later"
QUEUES = (EVENTS, UPKEEP, GARBAGE, VERIFICATION, BLOB_EVENTS, DELIVERIES, LATER)

POISON_SUFFIX = "-poison"
BLOB_POISON = "webjobs-blobtrigger-poison"
POISON = (*(f"{queue}{POISON_SUFFIX}" for queue in QUEUES if queue != LATER), BLOB_POISON)

CONTAINER = "content"

FAILING = "failing"
HALTED = "halted"
MASTER_KEY = "master-key"

REGISTRY_PARTITION = "registry"
REPOSITORY = "repository"
WRITABLE = "writable"
CONTENT = "content"
HOLDERS = "repo|"
POSITION = "position"
BEGUN = "begun"

_ENCODE = str.maketrans("-./", "!$-")
_DECODE = str.maketrans("!$-", "-./")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_LAST = 10**18
_TIME = "%Y%m%dT%H%M%S%f"
_END = "}"  # sorts after every character of a key below a `|` prefix


def encode_repository(repository: RepositoryName) -> str:
    """Give a repository's name without slashes, in the same order as the names."""
    return repository.translate(_ENCODE)


def decode_repository(key: str) -> RepositoryName:
    """Give the name that `encode_repository` encoded."""
    return RepositoryName(key.translate(_DECODE))


def contents_partition(generation: str, repository: RepositoryName) -> str:
    """Name the partition of a repository's rows."""
    return f"{generation}|{encode_repository(repository)}"


def blob_partition(generation: str, digest: Digest) -> str:
    """Name the partition that tells where a blob is and who holds it."""
    return f"{generation}|{digest}"


def of_generation(generation: str) -> str:
    """Begin the names of the partitions of one generation: of repositories, or of blobs."""
    return f"{generation}|"


def repository_of(partition: str) -> RepositoryName:
    """Give the repository whose partition `contents_partition` named."""
    return decode_repository(last_part(partition))


def digest_of(partition: str) -> Digest:
    """Give the digest whose partition `blob_partition` named."""
    return Digest.parse(last_part(partition))


def kept_names(generation: str) -> str:
    """Name the partition of the repositories of which something deleted is kept."""
    return f"deleted|{generation}"


def registry(generation: str, moment: datetime) -> str:
    """Name the object that says what a registry is from a change on; the newest first."""
    return f"{generation}/{inverse(moment)}"


def signing_keys(generation: str) -> str:
    """Name the partition of a registry's signing keys."""
    return f"keys|{generation}"


def sweep(generation: str) -> str:
    """Name the partition that says how far the sweep of a registry is."""
    return f"sweep|{generation}"


def unreadable(letter: str) -> str:
    """Key of a letter that nobody here can read."""
    return f"unreadable|{letter}"


def scrub(generation: str) -> str:
    """Name the partition that says how far the scrub is, and what was found bad or missing."""
    return f"scrub|{generation}"


def bad(name: str) -> str:
    """Key of an object that was found bad or missing; of the empty name, what all follow."""
    return f"bad|{drawn(name)}"


def manifest(digest: Digest) -> str:
    """Key of a manifest."""
    return f"manifest|{digest}"


def tag(name: Tag | str) -> str:
    """Key of a tag; of the empty name, the key that all tags follow."""
    return f"tag|{name}"


def blob(digest: Digest) -> str:
    """Key of a repository's link to a blob."""
    return f"blob|{digest}"


def edge(target: Digest, user: Digest, life: str) -> str:
    """Key of the fact that this life of the manifest `user` uses `target`."""
    return f"edge|{target}|{user}|{life}"


def edges_of(target: Digest) -> str:
    """Begin the keys of all edges that lead to `target`."""
    return f"edge|{target}"


def user_of(edge_key: str) -> tuple[Digest, str]:
    """Give the manifest that an edge comes from, and the life of it."""
    *_, user, life = edge_key.split("|")
    return Digest.parse(user), life


def build(digest: Digest, life: str) -> str:
    """Key of a push that takes several transactions, and is under way."""
    return f"build|{digest}|{life}"


def deleted(digest: Digest | str, life: str) -> str:
    """Key of a life of a manifest that is over."""
    return f"deleted|{digest}|{life}"


def tagged(digest: Digest, name: Tag | str) -> str:
    """Key of the fact that a tag points to a manifest, from the manifest's side."""
    return f"tagged|{digest}|{name}"


def newest(moment: datetime, name: Tag) -> str:
    """Key of a tag by the time of its last push, newest first."""
    return f"newest|{inverse(moment)}|{name}"


def moved(name: Tag, moment: datetime) -> str:
    """Key of what a tag pointed to before it was moved, newest first."""
    return f"moved|{name}|{inverse(moment)}"


def used(name: Tag) -> str:
    """Key of the fact that there is or was a tag of this name."""
    return f"used|{name}"


def inverse(moment: datetime) -> str:
    """Give a text that sorts the later times first."""
    return f"{_LAST - (moment - _EPOCH) // _TICK:020}"


def referrer(subject: Digest, digest: Digest | str) -> str:
    """Key of a manifest that names `subject`."""
    return f"referrer|{subject}|{digest}"


def referrers_under(name: Tag) -> str:
    """Begin the keys of what names the subject with this referrers tag."""
    return f"referrer|{name.replace('-', ':', 1)}"


def outbox(moment: str, event_id: str) -> str:
    """Key of an event; `moment` sorts by time."""
    return f"outbox|{moment}-{event_id}"


def time_id(moment: datetime, event_id: str) -> str:
    """Name an event that has no row in an outbox."""
    return f"{moment:{_TIME}}-{event_id}"


def deliveries(generation: str, webhook: str) -> str:
    """Name the partition of what is delivered to a webhook, by its id."""
    return f"{generation}|{webhook}"


def event_name(outbox_key: str) -> str:
    """Give the TIME-ID of an event's key: what its deliveries are called."""
    return last_part(outbox_key)


def moment_of(name: str) -> datetime:
    """Give the time in a delivery's name."""
    return datetime.strptime(name.partition("-")[0], _TIME).replace(tzinfo=UTC)


def delivery(name: str) -> str:
    """Key of an event for a webhook, newest first; `name` is its TIME-ID."""
    return f"delivery|{_inverted(name)}"


def delivery_name(key: str) -> str:
    """Give the TIME-ID of a delivery's key."""
    place, _, drawn = last_part(key).partition("-")
    moment = _EPOCH + (_LAST - int(place)) * _TICK
    return f"{moment:{_TIME}}-{drawn}"


def attempt(name: str, number: int) -> str:
    """Key of an attempt to deliver, by its number, which begins at 1."""
    return f"attempt|{_inverted(name)}|{number:05}"


def attempts(name: str) -> str:
    """Begin the keys of all attempts of a delivery."""
    return f"attempt|{_inverted(name)}|"


def from_moment(kind: str, moment: datetime) -> str:
    """Give a key before all deliveries, or `attempt`s, that are as old as this, or older."""
    return f"{kind}|{inverse(moment)}"


def waiting(name: str) -> str:
    """Key of the fact that a delivery waits, oldest first; of no name, what all follow."""
    return f"waiting|{name}"


def failed(name: str) -> str:
    """Key of the fact that nobody tries a delivery any more; as `waiting`."""
    return f"failed|{name}"


def _inverted(name: str) -> str:
    return f"{inverse(moment_of(name))}-{name.partition('-')[2]}"


def holder(repository: RepositoryName) -> str:
    """Key of a repository that holds a blob."""
    return f"repo|{encode_repository(repository)}"


def good(name: str) -> str:
    """Key of the fact that a digest's content is this object, and that its bytes are sound.

    It sorts before the holders: who reads on from it to the last of them has missed none that came
    meanwhile, or finds it changed.
    """
    return f"good|{drawn(name)}"


def gone(name: str) -> str:
    """Key of an object out of use that is yet to be removed."""
    return f"gone|{drawn(name)}"


def webhook(name: str) -> str:
    """Key of a webhook: names differ by more than small and large letters."""
    return name.lower()


def object_name(generation: str, drawn: str) -> str:
    """Name an object; `drawn` are 32 hexadecimal digits that are drawn for it alone."""
    return f"{generation}/{drawn}"


def drawn(name: str) -> str:
    """Give what was drawn for an object: keys take no slash, and their partition tells the rest."""
    return name.rpartition("/")[2]


def last_part(key: str) -> str:
    """Give what follows the last `|`: a tag, a manifest's digest."""
    return key.rpartition("|")[2]


def after_partition(partition: str) -> str:
    """Give a name after this partition's, and before all others that we have."""
    return f"{partition}!"


def kind_of(key: str) -> str:
    """Give what a row is: the beginning of its key."""
    return key.partition("|")[0]


def end_of(prefix: str) -> str:
    """Give a key after all keys that begin with `prefix`, a key up to its last `|`."""
    return prefix + _END


def rebuilding(rebuild: str) -> str:
    """Name the object that says that a rebuild is under way."""
    return f"{HALTED}/{rebuild}"


def is_of_registry(name: str) -> bool:
    """Tell what is written down of registries from the halt, and from what else stands beside."""
    return name not in {HALTED, MASTER_KEY} and not name.startswith(rebuilding(""))
