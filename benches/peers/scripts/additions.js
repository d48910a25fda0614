// Adds a million times, again and again for some seconds, and prints the median of the seconds that it took.
'use strict';

function add() {
  let x = 0;
  for (let i = 0; i < 1000000; i++) x += 1;
  return x;
}

const end = performance.now() + 1000 * Number(process.argv[2]);
const times = [];
do {
  const start = performance.now();
  if (add() !== 1000000) throw new Error('wrong sum');
  times.push(performance.now() - start);
} while (performance.now() < end);
times.sort((a, b) => a - b);
console.log(times[Math.floor(times.length / 2)] / 1000);
