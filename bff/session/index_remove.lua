-- ARGV: channel, tag, member's key
for _, member in ipairs(redis.call('ZRANGE', KEY, 0, -1)) do
  if string.sub(member, 1, #ARGV[3] + 1) == ARGV[3] .. ':' then redis.call('ZREM', KEY, member) end
end
return {now, 1}
