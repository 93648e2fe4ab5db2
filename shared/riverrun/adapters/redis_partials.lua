#!lua name=riverrun_partials_@VERSION@

-- Writes of feature partials that lose against newer ones, decided inside the server, where nothing comes between
-- reading and writing. Every function may be sent twice with no other effect than once.
--
-- A group of one partition is a hash: entity -> position (8 bytes, big-endian) followed by the partial.
-- A partition's marker is a decimal number: everything of the partition up to that position is here.
-- Positions are counts of records: doubles hold them exactly up to 2^53.

local POSITION = '>I8'

local function position_of(stored)
  -- HMGET gives false for an absent field; no position is below 0.
  if not stored then
    return -1
  end
  return (struct.unpack(POSITION, stored))
end

local function every_second(args, first)
  local chosen = {}
  for i = first, #args, 2 do
    chosen[#chosen + 1] = args[i]
  end
  return chosen
end

-- ARGV: entity, position and partial, entity, position and partial, ... Returns how many were newer.
local function put(keys, args)
  local stored = redis.call('HMGET', keys[1], unpack(every_second(args, 1)))
  local newer = {}
  local latest = {}
  for i = 1, #stored do
    local entity, value = args[2 * i - 1], args[2 * i]
    local position = position_of(value)
    if position > (latest[entity] or position_of(stored[i])) then
      latest[entity] = position
      newer[#newer + 1] = entity
      newer[#newer + 1] = value
    end
  end
  if #newer > 0 then
    redis.call('HSET', keys[1], unpack(newer))
  end
  return #newer / 2
end

-- ARGV: entity, position, entity, position, ... Returns how many were there and not newer.
local function delete(keys, args)
  local stored = redis.call('HMGET', keys[1], unpack(every_second(args, 1)))
  local ended = {}
  for i = 1, #stored do
    if stored[i] and position_of(stored[i]) <= tonumber(args[2 * i]) then
      ended[#ended + 1] = args[2 * i - 1]
    end
  end
  if #ended == 0 then
    return 0
  end
  return redis.call('HDEL', keys[1], unpack(ended))
end

-- A server that restarts, or a replica that takes over, may lack the last writes. So each round trip of writes leaves a
-- word behind them, and finds the one that the round trip before it has left; the first after the marker moved, none.

-- Whether the word that is expected is there; '' is of a caller who has written nothing since the marker moved.
local function is_kept(key, expected)
  return expected == '' or redis.call('GET', key) == expected
end

-- KEYS: word. ARGV: the word that is expected, the one to leave. Returns 1, or 0 if what was written before is lost.
local function step(keys, args)
  if not is_kept(keys[1], args[1]) and not is_kept(keys[1], args[2]) then
    return 0
  end
  redis.call('SET', keys[1], args[2])
  return 1
end

-- KEYS: marker, word. ARGV: the position to advance to; the position below which the marker cannot be unless the server
-- lost writes; the word that is expected.
-- Returns 1, or 0 if the marker is absent or was set back, or writes are lost: what was written cannot be relied upon.
local function mark(keys, args)
  local marker = redis.call('GET', keys[1])
  if not marker or tonumber(marker) < tonumber(args[2]) or not is_kept(keys[2], args[3]) then
    return 0
  end
  if tonumber(marker) < tonumber(args[1]) then
    redis.call('SET', keys[1], args[1])
  end
  return 1
end

-- KEYS: marker, token of whoever writes everything anew, word. ARGV: the caller's token, the position, the word that is
-- expected. Returns 1, or 0 if another has begun since, or everything was deleted, or writes are lost: then what the
-- caller wrote may be gone.
local function reset(keys, args)
  if redis.call('GET', keys[2]) ~= args[1] or not is_kept(keys[3], args[3]) then
    return 0
  end
  redis.call('DEL', keys[2])
  redis.call('SET', keys[1], args[2])
  return 1
end

redis.register_function('riverrun_put_@VERSION@', put)
redis.register_function('riverrun_reset_@VERSION@', reset)
redis.register_function('riverrun_delete_@VERSION@', delete)
redis.register_function('riverrun_step_@VERSION@', step)
redis.register_function('riverrun_mark_@VERSION@', mark)
