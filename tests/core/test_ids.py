from __future__ import annotations

import os
import re
import sys
import threading

from wirehop.core.ids import new_id, new_uuid


def test_ids_are_uuids_of_version_4_without_dashes() -> None:
    ids = {new_id() for _ in range(2000)}
    assert len(ids) == 2000
    for id in ids:
        assert re.fullmatch("[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", id)


def test_uuids_are_the_same_with_dashes() -> None:
    ids = {new_uuid() for _ in range(2000)}
    assert len(ids) == 2000
    for id in ids:
        assert re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", id)


def test_loops_of_several_threads_have_different_ids() -> None:
    made: list[list[str]] = []

    def make() -> None:
        made.append([new_uuid() for _ in range(20_000)])

    threads = [threading.Thread(target=make) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert len({id for ids in made for id in ids}) == 80_000


def test_a_forked_child_has_ids_of_its_own() -> None:
    new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 32).decode()
    os.close(reading)
    os.close(writing)
    assert theirs != new_id()
