"""Settings applied to a whole workspace: planned, tested before anything is saved, then saved.

Raised: SettingsError for the form of the whole, NotApplied for everything that is wrong inside.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, Final

from broadcast.errors import BroadcastError, NotApplied
from broadcast.report import Report
from broadcast.settings_plan import Change, Plan, Planner, wanted_from
from broadcast.store.workspaces import Workspace

_AT_ONCE: Final = 3
_ORDER: Final = ("remove", "change", "add")


class WholeSettings(Planner):
    """The use case of applying settings to a whole workspace."""

    def apply(
        self,
        workspace: Workspace,
        user_id: int | None,
        body: Mapping[str, Any],
        *,
        clock: Callable[[], int],
        place: AbstractContextManager[None],
    ) -> dict[str, Any]:
        """Plan, test whatever changes, and only when all of it passed save; `place` is held while testing."""
        wanted = wanted_from(body)
        plan = self.plan(workspace, wanted)
        if wanted.dry_run:
            return plan.view(applied=False)
        passed = self._tested(workspace, plan, clock=clock, place=place)
        self._save(workspace, user_id, plan, passed, clock=clock)
        return plan.view(applied=True)

    # -- inside ---------------------------------------------------------------------------------------

    def _tested(
        self,
        workspace: Workspace,
        plan: Plan,
        *,
        clock: Callable[[], int],
        place: AbstractContextManager[None],
    ) -> dict[str, str | None]:
        """Return the fingerprint of each passed test by name; raise `NotApplied` with all that failed."""

        def test(change: Change) -> Report:
            return self._connections.test(workspace, change.tested, now_us=clock())

        due = [change for change in plan.changes if change.is_tested]
        if not due:
            return {}
        with place, ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            reports = list(pool.map(test, due))
        failed = [
            {"destination": change.name, "field": None, "message": _failure(report), "report": report.view()}
            for change, report in zip(due, reports, strict=True)
            if not report.ok
        ]
        if failed:
            raise NotApplied(failed)
        return {change.name: report.fingerprint for change, report in zip(due, reports, strict=True)}

    def _save(
        self,
        workspace: Workspace,
        user_id: int | None,
        plan: Plan,
        passed: Mapping[str, str | None],
        *,
        clock: Callable[[], int],
    ) -> None:
        """Save a tested plan: what goes first, so that its name and its place are free."""
        saved: list[str] = []
        for change in sorted(plan.changes, key=lambda each: _ORDER.index(each.action)):
            try:
                self._save_one(workspace, user_id, change, passed.get(change.name), now_us=clock())
            except BroadcastError as error:
                problem = {"destination": change.name, "field": None, "message": str(error)}
                raise NotApplied([problem], tuple(saved)) from None
            saved.append(change.name)
        if plan.switch is not None:
            self._connections.set_broadcast(workspace, user_id, plan.switch, now_us=clock())

    def _save_one(
        self,
        workspace: Workspace,
        user_id: int | None,
        change: Change,
        fingerprint: str | None,
        *,
        now_us: int,
    ) -> None:
        stored = change.stored
        if stored is None:
            self._connections.create(workspace, user_id, change.body, fingerprint=fingerprint, now_us=now_us)
        elif change.action == "remove":
            self._connections.delete(workspace, user_id, stored.uid, now_us=now_us)
        else:
            self._connections.update(
                workspace,
                user_id,
                stored.uid,
                change.body,
                fingerprint=fingerprint,
                expected_version=stored.version,
                now_us=now_us,
            )


def _failure(report: Report) -> str:
    return f"The test failed at {report.stage}: {report.message}" + (f" {report.hint}" if report.hint else "")
