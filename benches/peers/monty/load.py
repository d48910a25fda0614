"""Loads a pool of Monty with its own client: `load.py SESSIONS WARM_UP SECONDS`.

There are no more sessions than the pool has processes by default, one for each core: more are slower.
Each session has a thread that sends the next script as soon as the last one has answered; a session takes one at a time.
Prints the answers per second, and the median and the 99th percentile of their seconds.
"""

import os
import sys
import threading
import time

from pydantic_monty import Monty


def main() -> None:
    sessions = min(int(sys.argv[1]), os.cpu_count() or 1)
    warm_up, seconds = float(sys.argv[2]), float(sys.argv[3])
    barrier = threading.Barrier(sessions)
    latencies: list[list[float]] = [[] for _ in range(sessions)]
    errors: list[BaseException] = []

    def run(pool: Monty, own: list[float]) -> None:
        try:
            with pool.checkout() as session:
                session.feed_run('40 + 2')
                barrier.wait()
                start = time.perf_counter() + warm_up
                end = start + seconds
                before = time.perf_counter()
                while before < end:
                    value = session.feed_run('40 + 2')
                    after = time.perf_counter()
                    if value != 42:
                        raise ValueError(f'40 + 2 is {value}')
                    if before >= start:
                        own.append(after - before)
                    before = after
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    with Monty(max_processes=sessions) as pool:
        threads = [threading.Thread(target=run, args=(pool, own)) for own in latencies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    together = sorted(latency for own in latencies for latency in own)
    print(len(together) / seconds, together[len(together) // 2], together[len(together) * 99 // 100])


main()
