-- ARGV: channel, tag. The key's own name travels with the answer, so nobody else's can be taken
-- for it. A peek that found nothing counts only after this.
return {now, KEY, redis.call('HMGET', KEY, 't', 'v', 'ia', 'ab', 'rf', 'se', 'r')}
