"""The protocol's rules, each with what the code looks like without it."""

from __future__ import annotations

from typing import NamedTuple

WORKER = ("tests/unit/worker", "tests/unit/history")
SQLITE = ("tests/contract/storage/test_backends.py::TestSQLite", *WORKER)


class Rule(NamedTuple):
    """One rule.

    Attributes:
        name: what holds because of it, with the number of the protocol's answer.
        file: below `orion_k8s/`.
        text: the code of the rule.
        without: what stands there without it.
        tests: that must fail then.
    """

    name: str
    file: str
    text: str
    without: str
    tests: tuple[str, ...] = WORKER


RULES = (
    Rule(
        "1 broken trials are replaced",
        "history/mirror.py",
        'return max_trials + self._counts[CODES["broken"]] + removed - self.inserted',
        "return max_trials + removed - self.inserted",
    ),
    Rule(
        "1 removed trials are replaced",
        "history/mirror.py",
        'return max_trials + self._counts[CODES["broken"]] + removed - self.inserted',
        'return max_trials + self._counts[CODES["broken"]] - self.inserted',
    ),
    Rule(
        "1 inserted trials count towards N",
        "history/mirror.py",
        "+ removed - self.inserted",
        "+ removed",
    ),
    Rule(
        "1 no number beyond the bound",
        "history/mirror.py",
        "return numbers if limit is None else [n for n in numbers if n < limit]",
        "return numbers",
    ),
    Rule(
        "1 a point that a person inserted is passed over",
        "algorithm/sequence.py",
        "further = _skip(number, self._inserted_places(history))",
        "further = number",
    ),
    Rule(
        "2 a taken number means another suggestion",
        "worker/claiming.py",
        "if Conflict.NUMBER in conflicts or Conflict.DECISION in conflicts:",
        "if Conflict.DECISION in conflicts:",
    ),
    Rule(
        "2 taken parameters mean the next draw",
        "worker/claiming.py",
        "            attempt += 1\n",
        "",
    ),
    Rule(
        "3 a claim that finds itself renews its lease",
        "storage/sqlite.py",
        "mine = not self.renew([Lease(claim.id, claim.token)], lease_s)",
        "mine = True",
        SQLITE,
    ),
    Rule(
        "3 a reservation that finds itself renews its lease",
        "storage/sqlite.py",
        "self.renew([Lease(found.id, token)], lease_s)",
        "pass",
        SQLITE,
    ),
    Rule(
        "3 a claim whose reply was lost is sent again as it was",
        "worker/claiming.py",
        "return self._call(lambda: self.storage.claim(self.experiment, claim, self.lease_s))",
        "return self._call(\n            lambda: self.storage.claim(\n"
        "                self.experiment,"
        " __import__('dataclasses').replace(claim, id=new_id()), self.lease_s\n            )\n"
        "        )",
    ),
    Rule(
        "4 collisions spread the workers",
        "worker/claiming.py",
        "1.5 * self._choices + 1",
        "self._choices",
    ),
    Rule(
        "4 the spread shrinks again",
        "worker/claiming.py",
        "self._choices = max(1.0, self._choices * 0.95)",
        "pass",
    ),
    Rule(
        "4 a number beyond the window is read after a collision",
        "worker/claiming.py",
        "self.history.expect(number)",
        "pass",
        ("tests/mutations/kept", *WORKER),
    ),
    Rule(
        "5 a point stands once in the sequence",
        "algorithm/sequence.py",
        "if text not in self._place:",
        "if True:",
        ("tests/unit/algorithm", *WORKER),
    ),
    Rule(
        "6 identity knows the parent",
        "trial/records.py",
        "{values}|{parent or ''}|{repetition}",
        "{values}|{repetition}",
    ),
    Rule(
        "6 identity knows the repetition",
        "trial/records.py",
        "{values}|{parent or ''}|{repetition}",
        "{values}|{parent or ''}",
    ),
    Rule(
        "7 a decision is made once",
        "storage/sqlite_schema.py",
        "CREATE UNIQUE INDEX trials_decision",
        "CREATE INDEX trials_decision",
        SQLITE,
    ),
    Rule(
        "8 gaps are read again",
        "history/mirror.py",
        "        numbers += self._gaps\n",
        "",
    ),
    Rule(
        "8 unfinished trials are read again",
        "history/mirror.py",
        "numbers = [n for group in self._by_status.values() for n in group]",
        "numbers: list[int] = []",
    ),
    Rule(
        "8 a full window is followed by another read",
        "history/mirror.py",
        "        return full\n",
        "        return False\n",
    ),
    Rule(
        "8 another generation rebuilds the mirror",
        "worker/claiming.py",
        "if record is not None and record.generation != self.history.generation:",
        "if self.history.generation == -1:",
    ),
    Rule(
        "8 a change under way is looked at again",
        "worker/claiming.py",
        "            self.history.generation = -1\n",
        "            pass\n",
    ),
    Rule(
        "9 finished is confirmed",
        "worker/claiming.py",
        "            self.reread_record()\n            after",
        "            after",
    ),
    Rule(
        "9 no free number is not the end",
        "worker/claiming.py",
        "if history.count(Status.RESERVED) or history.waiting:",
        "if False:",
    ),
    Rule(
        "9 interrupted trials come before new ones",
        "worker/claiming.py",
        "for status in (Status.INTERRUPTED, Status.NEW):",
        "for status in (Status.NEW, Status.INTERRUPTED):",
    ),
    Rule(
        "10 what a person suspended blocks",
        "worker/claiming.py",
        "return Idle.SUSPENDED if history.held_by_person else Idle.WAIT",
        "return Idle.WAIT",
    ),
    Rule(
        "11 a reservation has a new token",
        "storage/sqlite.py",
        "UPDATE trials SET status = 'reserved', token = ?, worker = ?",
        "UPDATE trials SET status = 'reserved', token = coalesce(token, ?), worker = ?",
        SQLITE,
    ),
    Rule(
        "11 complete needs the token",
        "storage/sqlite.py",
        "WHERE id = ? AND token = ? AND status IN ('reserved', 'interrupted')",
        "WHERE id = ? AND ? IS NOT NULL AND status IN ('reserved', 'interrupted')",
        SQLITE,
    ),
    Rule(
        "11 complete takes an interrupted trial too",
        "storage/sqlite.py",
        "WHERE id = ? AND token = ? AND status IN ('reserved', 'interrupted')",
        "WHERE id = ? AND token = ? AND status = 'reserved'",
        SQLITE,
    ),
    Rule(
        "11 release needs the token",
        "storage/sqlite.py",
        'WHERE id = :trial AND token = :token AND status = \'reserved\'""",\n            {\n'
        '                "status": word',
        'WHERE id = :trial AND status = \'reserved\'""",\n            {\n'
        '                "status": word',
        SQLITE,
    ),
    Rule(
        "11 a heartbeat needs status reserved",
        "storage/sqlite.py",
        "WHERE id IN ({marks}) AND token IN ({marks}) AND status = 'reserved'",
        "WHERE id IN ({marks}) AND token IN ({marks})",
        SQLITE,
    ),
    Rule(
        "12 the update repeats the test of the lease",
        "storage/sqlite.py",
        "                AND boot = :boot AND lease = :lease",
        "",
        SQLITE,
    ),
    Rule(
        "12 a search for lost trials releases, it does not reserve",
        "storage/sqlite.py",
        "Status.BROKEN if times + 1 >= max_lost else Status.INTERRUPTED",
        "Status.BROKEN if times + 1 >= max_lost else Status.RESERVED",
        SQLITE,
    ),
    Rule(
        "13 nobody takes anything for one lease after an outage",
        "worker/leases.py",
        "        if now - well_since < self.lease_s:\n            return\n",
        "",
    ),
    Rule(
        "13 an outage that the heart meets counts",
        "worker/leases.py",
        "        except PASSING:\n            self.unwell()\n            raise\n",
        "        except PASSING:\n            raise\n",
    ),
    Rule(
        "13 an outage that another call meets counts",
        "worker/patience.py",
        "                    self.on_outage()\n",
        "                    pass\n",
    ),
    Rule(
        "13 who was stopped counts it as an outage",
        "worker/leases.py",
        "if began - self.last_beat > self.lease_s:",
        "if False:",
    ),
    Rule(
        "14 a change of primary is an outage",
        "worker/leases.py",
        "if well_since is None or epoch != self._epoch:",
        "if well_since is None:",
    ),
    Rule(
        "14 a lease further ahead than its length is cut",
        "storage/sqlite.py",
        "if boot == here and lease > now + lease_s + 1e-3:",
        "if False:",
        SQLITE,
    ),
    Rule(
        "15 a lease of another start of the machine is not read by this one's clock",
        "storage/sqlite.py",
        "elif boot in gone or (boot == here and lease < now):",
        "elif boot in gone or lease < now:",
        SQLITE,
    ),
    Rule(
        "15 a shared volume is refused",
        "storage/sqlite.py",
        "        if beat != seen:\n",
        "        if False:\n",
        SQLITE,
    ),
    Rule(
        "16 a trial lost too often is broken",
        "storage/sqlite.py",
        "Status.BROKEN if times + 1 >= max_lost else Status.INTERRUPTED",
        "Status.INTERRUPTED",
        SQLITE,
    ),
    Rule(
        "16 an orderly release is no loss",
        "storage/sqlite.py",
        "SET status = :status, reason = :reason, held_by = :held_by,\n"
        "                lease = NULL,",
        "SET status = :status, reason = :reason, held_by = :held_by, lost = lost + 1,\n"
        "                lease = NULL,",
        SQLITE,
    ),
    Rule(
        "18 the program is ended before its trial is released",
        "worker/loop.py",
        "            one.future.cancel(self.limits.grace_s)\n        deadline",
        "            self._storage.release(one.lease, Status.INTERRUPTED, 'first')\n"
        "            one.future.cancel(self.limits.grace_s)\n        deadline",
    ),
    Rule(
        "20 a changed bound is read with the heartbeat",
        "worker/loop.py",
        "            on_record=claimer.look_at_record,\n",
        "",
    ),
    Rule(
        "21 a removed experiment ends its workers",
        "worker/claiming.py",
        "            if record is None:\n                return Idle.REMOVED\n            done",
        "            if record is None:\n                return Idle.WAIT\n            done",
    ),
    Rule(
        "I9 a program whose token is void is stopped",
        "worker/leases.py",
        "                self._on_void(lease)\n",
        "                pass\n",
    ),
    Rule(
        "I2 a result without the lease is refused, and the worker goes on",
        "worker/loop.py",
        "        except LeaseLost as error:\n            log.warning(",
        "        except ZeroDivisionError as error:\n            log.warning(",
    ),
    Rule(
        "I7 no two trials have the same parameters",
        "storage/sqlite_schema.py",
        "CREATE UNIQUE INDEX trials_identity",
        "CREATE INDEX trials_identity",
        SQLITE,
    ),
    Rule(
        "I9 results are kept in hand through an outage",
        "worker/loop.py",
        "self._patience.call(lambda: self._write(one, verdict, loss))",
        "self._write(one, verdict, loss)",
    ),
    Rule(
        "9 a reached goal is confirmed before it ends anything",
        "worker/claiming.py",
        "if reached and after.goal == record.goal:",
        "if reached:",
    ),
    Rule(
        "9 who breaks a constraint reaches no goal",
        "trial/goal.py",
        "losses = [_penalty(broken)] * len(losses)",
        "pass",
    ),
    Rule(
        "a curve is written under the current token alone",
        "storage/sqlite_curves.py",
        "WHERE t.token = json_extract(given.value, '$[1]') AND t.status != 'removed'",
        "WHERE t.status != 'removed'",
        SQLITE,
    ),
    Rule(
        "an older curve never comes back",
        "storage/sqlite_curves.py",
        "WHERE excluded.revision > revision",
        "WHERE true",
        SQLITE,
    ),
    Rule(
        "a later attempt's curve is newer than all of an earlier one's",
        "trial/curve.py",
        "return attempt * _ATTEMPT + min(count, _ATTEMPT - 1)",
        "return count",
        ("tests/unit/trial", *SQLITE),
    ),
    Rule(
        "a trial that does not listen is ended",
        "worker/follower.py",
        "one.future.cancel(self._grace_s)",
        "pass",
    ),
    Rule(
        "a stopped trial is completed with its last value",
        "worker/followed.py",
        "if self.stopped is None or verdict.status is Status.BROKEN:",
        "if True:",
    ),
    Rule(
        "what is known of a curve is not read again",
        "storage/sqlite_curves.py",
        "WHERE c.revision > json_extract(known.value, '$[1]')",
        "WHERE true OR json_extract(known.value, '$[1]')",
        SQLITE,
    ),
)
