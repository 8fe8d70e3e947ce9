-- ARGV: channel, tag, owner, sealed, key id, idle length, absolute, refresh or ''
local there = read('t', 'co')
if there[1] then
  local mine = there[2] == ARGV[3]
  if mine then redis.call('HSET', KEY, 'co', ARGV[3]) end -- again, for WAIT: the first was not heard
  return {now, mine and 1 or 0}
end
redis.call('HSET', KEY, 't', ARGV[2], 'v', ARGV[3], 's', ARGV[4], 'k', ARGV[5], 'il', ARGV[6],
  'ia', ms(now + tonumber(ARGV[6])), 'ab', ARGV[7], 'rf', ARGV[8], 'se', ms(now), 'co', ARGV[3])
expire()
announce()
return {now, 1}
