-- Adds a million times, again and again for some seconds, and prints the median of the seconds that it took.
local function add()
  local x = 0
  for _ = 1, 1000000 do x = x + 1 end
  return x
end

local stop, times = os.clock() + tonumber(arg[1]), {}
repeat
  local start = os.clock()
  assert(add() == 1000000)
  times[#times + 1] = os.clock() - start
until os.clock() >= stop
table.sort(times)
print(times[#times // 2 + 1])
