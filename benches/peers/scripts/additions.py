"""Adds a million times, again and again for some seconds, and prints the median of the seconds that it took."""

import sys
import time


def add() -> int:
    x = 0
    for _ in range(1_000_000):
        x += 1
    return x


end = time.perf_counter() + float(sys.argv[1])
times: list[float] = []
while not times or time.perf_counter() < end:
    start = time.perf_counter()
    assert add() == 1_000_000
    times.append(time.perf_counter() - start)
print(sorted(times)[len(times) // 2])
