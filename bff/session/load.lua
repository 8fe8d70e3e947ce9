-- ARGV: channel, tag
local there = read('t', 'v', 's', 'r')
return {now, KEY, there}
