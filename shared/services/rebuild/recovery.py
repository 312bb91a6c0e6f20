"""Recovery: a storage account gets its rows back, after tables were lost.

    V1 note that this is under way, halt all removers, and wait until both have been so for 2 L: who
       had looked for the halt before it was there has removed what it was about to, and who was
       about to lift it has done so
    V2 make the tables and queues that are missing
    V3 make the rows of registries, from what is written down of them; keys are made by the app
    V4 rebuild each of them
    V5 lift the halt, unless another rebuild is noted

A halt is of the whole account, so all registries in it are rebuilt. It stays where a rebuild dies,
and where something did not come back that may: nothing names its object, so it would be removed.
V5 comes when all rows are back. Rebuilds that run at once do the same work, each of them all; the
last one lifts the halt (`storage.halt`).
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from math import ceil

from shared.services.rebuild.rebuild import Rebuild
from shared.services.rebuild.report import Report, Step, Tell
from shared.storage import ages, keys
from shared.storage.halt import Halt
from shared.storage.master_key.source import MasterKeySource
from shared.storage.ports import NotPrepared, Ports
from shared.storage.rows.registries import RegistryRecord, RegistryRecords, StateRefused
from shared.storage.rows.written import Written

_ANY, _LAST = "any", "~"


class Recovery:
    """Rebuilds all registries of a storage account.

    `open_rebuild` gives the rebuild of one, `sleep` waits for so many seconds, and `rebuild_id` was
    never given before. With `is_dry` nobody is halted or waited for: then rows and messages are
    imagined.
    """

    def __init__(
        self,
        ports: Ports,
        master_keys: MasterKeySource,
        open_rebuild: Callable[[RegistryRecord], Rebuild],
        sleep: Callable[[float], Awaitable[object]],
        *,
        rebuild_id: str,
        is_dry: bool = False,
    ) -> None:
        self._rows = ports.rows
        self._objects = ports.objects
        self._messages = ports.messages
        self._records = RegistryRecords(ports.rows, ports.beside, master_keys)
        self._down = Written(ports.beside, ports.objects)
        self._halt = Halt(ports.beside)
        self._open_rebuild = open_rebuild
        self._sleep = sleep
        self._id = rebuild_id
        self._is_dry = is_dry

    async def lost(self) -> list[str]:
        """Say what is lost; raises StateRefused."""
        written = await self._written()
        found = [f"table {table}" for table in keys.TABLES if await self._is_missing(table)]
        if found == [
            f"table {keys.WEBHOOKS}"
        ]:  # apps of before had none, and it is made when missed
            found = []
        if f"table {keys.CONTENTS}" not in found and await self._is_empty():
            found.append(f"rows of table {keys.CONTENTS}")
        if await self._halt.age() is not None:
            found.append("rows for which removal was halted before")
        if f"table {keys.REGISTRIES}" not in found:
            find = self._records.find
            found += [f"registry {name}" for name in written if await find(name) is None]
        return found

    async def halt(self) -> bool:
        """Halt all removers, before others touch the tables; False where they are. StateRefused."""
        await self._written()
        if await self._halt.age() is not None:
            return False
        await self._halt.put([*await self.lost(), "nothing that an operator has told of"])
        return True

    async def run(self, tell: Tell) -> list[Report]:
        """Make the rows that are missing, and tell what came back; raises StateRefused."""
        written = await self._written()
        if self._is_dry:
            return await self._rebuild(written, tell)
        try:
            await self._stop_removers(tell)
            reports = await self._rebuild(written, tell)
        finally:
            await self._halt.end(self._id)
        if not any(report.is_unfinished for report in reports):
            await self._halt.lift()
        return reports

    async def others(self) -> list[timedelta]:
        """Tell for how long each rebuild that keeps the halt has been under way, or dead."""
        return await self._halt.others() if await self._halt.age() is not None else []

    async def _rebuild(self, written: Mapping[str, RegistryRecord], tell: Tell) -> list[Report]:
        await self._rows.prepare(keys.TABLES)
        await self._messages.prepare(keys.QUEUES)
        registries = [await self._with_row(record) for record in written.values()]
        return [await self._open_rebuild(record).run(tell) for record in registries]

    async def _written(self) -> Mapping[str, RegistryRecord]:
        """Give what is written down of registries; raises StateRefused where there is nothing."""
        with suppress(NotPrepared):
            if found := await self._down.registries():
                return found
        raise StateRefused("nothing in this storage says that there ever was a registry")

    async def _stop_removers(self, tell: Tell) -> None:
        while (age := await self._relied_on()) < 2 * ages.L:
            seconds = (2 * ages.L - age).total_seconds()
            tell(Step.WAITING, ceil(seconds))
            await self._sleep(seconds)

    async def _relied_on(self) -> timedelta:
        """Note and halt what is not, or not any more; tell for how long both have been there."""
        while True:
            begun = await self._halt.begun(self._id)
            halted = await self._halt.age()
            if begun is not None and halted is not None:
                return min(begun, halted)
            if begun is None:  # or an operator has taken it away
                await self._halt.begin(self._id)
            else:  # or lifted while we waited, as another rebuild has ended
                await self._halt.put(await self.lost() or ["nothing, as far as anyone can tell"])

    async def _with_row(self, written: RegistryRecord) -> RegistryRecord:
        """Give a registry that has its row, again if need be; or another that has its name."""
        records = self._records
        record = await records.find(written.name)
        if record is None and not await records.bring_back(written):
            record = await records.find(written.name)  # another has brought it back
        return record or written

    async def _is_empty(self) -> bool:
        """Tell whether no row says what repositories hold, and there are objects."""
        position = ""
        while True:
            page = await self._rows.page(
                keys.CONTENTS, first="", before=_LAST, position=position, limit=1
            )
            if page.rows:
                return False
            if not (position := page.position):
                break
        while True:
            names, position = await self._objects.page("", position, 1)
            if names or not position:
                return bool(names)

    async def _is_missing(self, table: str) -> bool:
        try:
            await self._rows.get(table, _ANY, _ANY)
        except NotPrepared:
            return True
        return False
