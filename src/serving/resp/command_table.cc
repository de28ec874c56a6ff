#include <fmt/format.h>

#include <array>

#include "serving/resp/commands.h"

namespace headrace::serving {
namespace {

constexpr std::array kTable = std::to_array<RespCommandRow>({
    {"hmget", -3, "readonly fast", 1, 1, "view:key field [field ...]",
     "Features of a key; null where there is no value."},
    {"hget", 3, "readonly fast", 1, 1, "view:key field", "One feature of a key."},
    {"hgetall", 2, "readonly", 1, 1, "view:key",
     "Every feature of a key that has a value, then `_epoch`, `_lag` and `_status`; empty for a "
     "key "
     "that is not there."},
    {"hexists", 3, "readonly fast", 1, 1, "view:key field", "1 when the feature has a value."},
    {"exists", -2, "readonly fast", 1, -1, "view:key [view:key ...]",
     "How many of the keys have an event, at or before now."},
    {"type", 2, "readonly fast", 1, 1, "view:key", "`hash`, or `none`."},
    {"get", 2, "readonly fast", 1, 1, "view.feature:key", "One feature of a key."},
    {"mget", -2, "readonly fast", 1, -1, "view.feature:key [view.feature:key ...]",
     "Features of any keys of any views, from one epoch."},
    {"features.get", -5, "readonly", 0, 0,
     "service [MIN_EPOCH n | AS_OF_EPOCH n] [DEADLINE ms] [AS_OF time] KEY name value [name value "
     "...]",
     "A service's features, all of one epoch, with their statuses. Names are join keys and inputs "
     "of the request."},
    {"features.explain", -2, "readonly", 1, 1,
     "view.feature:key [EPOCH n] [AS_OF time] [LIMIT n] [SOURCE state | table | either] [SERVED "
     "value] [DEADLINE ms]",
     "Which rows are behind one value, and why the others are not."},
    {"features.last", -2, "readonly", 1, 1,
     "view:key [COUNT n] [EPOCH n] [SOURCE state | table | either] [DEADLINE ms]",
     "The newest rows of a key."},
    {"features.push", -3, "write denyoom", 0, 0,
     "stream event [event ...] [KEY idempotency | PRODUCER name SEQUENCE n] [ATOMIC]",
     "Takes events in, a JSON object each; answers when they are durable."},
    {"features.pushget", -4, "write denyoom", 0, 0,
     "service stream event [KEY idempotency | PRODUCER name SEQUENCE n] [DEADLINE ms] [AT_DEADLINE "
     "last_known | defaults | refuse] [REFUSED told | answered] [ANSWER durable | provisional] "
     "[WITH name "
     "value ...]",
     "Takes one event in, and answers the service's features as of the epoch that holds it."},
    {"features.pushed", 2, "readonly", 0, 0, "token",
     "What became of an event that was not known to be durable when its push was answered."},
    {"features.list", 1, "readonly", 0, 0, "", "Services, and the features that each has."},
    {"multi", 1, "fast", 0, 0, "",
     "The commands that follow are answered `QUEUED`, and kept until EXEC."},
    {"exec", 1, "fast", 0, 0, "",
     "Runs them in their order, and answers an array of their answers."},
    {"discard", 1, "fast", 0, 0, "", "Forgets them."},
    {"ping", -1, "fast", 0, 0, "[text]", "PONG, or the text."},
    {"echo", 2, "fast", 0, 0, "text", "The text."},
    {"hello", -1, "fast", 0, 0, "[2 | 3] [AUTH name token] [SETNAME name]",
     "Chooses the version of the protocol; tells server and connection."},
    {"auth", -2, "fast", 0, 0, "[name] token",
     "Shows the token of `serve --tokens`; the name is the token's, or `default`."},
    {"select", 2, "fast", 0, 0, "0", "There is one database."},
    {"client", -2, "fast", 0, 0,
     "ID | GETNAME | SETNAME name | SETINFO name value | INFO | NO-EVICT on | NO-TOUCH on",
     "The connection's number and name."},
    {"command", -1, "fast", 0, 0, "[COUNT | DOCS [name ...] | INFO [name ...]]",
     "This table, for clients."},
    {"config", -2, "fast", 0, 0, "GET name [name ...]",
     "What benchmarks ask for: `appendonly` and `save`. Nothing can be set."},
    {"info", -1, "fast", 0, 0, "[section]", "Figures of the server, as text."},
    {"reset", 1, "fast", 0, 0, "", "Back to version 2 and no name."},
    {"quit", 1, "fast", 0, 0, "", "Closes the connection."},
});

constexpr std::string_view kIntroduction = R"(# Redis protocol

*Generated from the table of commands; `./dev test serving` fails when it is not up to date.*

`headrace serve` speaks RESP 2 and 3 on a port of its own (6379 unless `--resp` says another; `--resp 0` lets the system choose, `--no-resp` opens none), so that clients
of Redis read features as they would read hashes. Features are computed, not set; events come in by `FEATURES.PUSH`.
```
$ redis-cli HMGET card:c1 spend_1h payments_1h _epoch _status
1) "129.5"
2) "3"
3) "812"
4) "PRESENT"
```

## Keys
`view:key` is a key of a view; what follows the first colon is the key's value as it is: `card:c1`, `day:2026-01-31`. Of a view by several fields, colons are between the
parts, in the order of `by`; inside a part `%3A` is a colon and `%25` a percent sign: `route:ORD:SFO`. `view.feature:key` is one feature of it, for GET and MGET.

## Values
Values are texts: numbers with the fewest digits that read back the same, `true` and `false`, times as `2026-01-31T10:00:00Z`, lists as JSON, texts and bytes as they are. `FEATURES.GET` has
integers, doubles, booleans, lists and nulls of their own in version 3. **A value is null unless its status is PRESENT**, as over HTTP: a client that never asks for a status is never given a value that is too old.

| field | is |
|---|---|
| `_status` | the worst status of the features asked for beside it, or of all of them in `HGETALL`: `PRESENT`, `NULL_VALUE`, `OUTSIDE_MAX_AGE`, `INVALID`, `NOT_FOUND` ([http.md](http.md)); alone, of the key: `PRESENT`, `OUTSIDE_MAX_AGE` or `NOT_FOUND` |
| `_status:feature` | the status of that feature |
| `_epoch` | the epoch that the answer is of |
| `_lag` | milliseconds that the answer may be behind: `_as_of` less when the view's sources were last heard of; null when one of them never was |
| `_as_of` | the time that the answer is for |
| `_event_time` | of the key's newest event; null when there is none |

A field or view that does not exist is an error that names what is near, not a null. One command sees one epoch; so does `MGET` over all its keys. `ttl` of a view counts; `max_lag` belongs to a service, so only
`FEATURES.GET` looks at it.

## Commands
Names in any case.

| command | answers |
|---|---|
)";

constexpr std::string_view kEnd = R"(
`FEATURES.GET` answers a map (in version 2 an array of names and values): `epoch`, `as_of`, `lag` (ms), `features` and `statuses`, both maps by the features' names. With `MIN_EPOCH` it waits until that epoch is visible, at most `DEADLINE`
(1000 ms; more than 60,000 is 60,000); the connection's next commands wait with it.

## The past
`FEATURES.GET` with `AS_OF_EPOCH n` answers what that epoch would have, `AS_OF` included when it is said, else at the epoch's clock: the same map, and in it `source` (`state`, `table`) and `because`, why the table. Its `lag` is null for a service without a `max_lag`: nobody looks. `FEATURES.EXPLAIN` and `FEATURES.LAST` answer the documents of
`POST /explain` and `POST /last-events` ([http.md](http.md)) as maps, their lists as arrays: members, limits, errors are the same, and so are the rows ([explain.md](../how-to/explain.md)). `COUNT` is 10 unless said, `LIMIT` 50. The connection's next commands wait; all questions about the past have one background
thread, and give up at `DEADLINE` (30,000 ms unless said): `TRYAGAIN`.
```
$ redis-cli FEATURES.EXPLAIN card.spend_1h:c1 EPOCH 812 SERVED 129.5
$ redis-cli FEATURES.LAST card:c1 COUNT 3
```

## Events in
`FEATURES.PUSH` is `POST /streams/{stream}/events` ([http.md](http.md)): contract, repeats (`KEY`, or `PRODUCER` and `SEQUENCE`) and dead letters are the same. It answers when its events are durable, a map: `accepted`,
`refused_rows`, `event_epoch` (the token for reading one's own writes: `MIN_EPOCH`), `durability`, `repeated`, and `refused`, a map for each refused event, when there are any. When none was accepted it is an error, `REFUSED`.
```
$ redis-cli FEATURES.PUSH payments '{"payment_id":"p1","card_id":"c1","amount":12.5,"paid_at":"2026-01-31T10:00:00Z"}'
```
`FEATURES.PUSHGET` is push and get ([push-and-get.md](../concepts/push-and-get.md)): beside what `FEATURES.GET` and `FEATURES.PUSH` answer its map has `answered` (`with_event`, `provisional`, `last_known`, `defaults`), `event` (`durable`, `refused`,
`unknown`), and in place of the outcome a `token` for `FEATURES.PUSHED` while the event is `unknown`. With `ANSWER provisional`, which wants a `KEY` or `SEQUENCE` and a consumer that allows it, the answer may come before the event is durable: then it has `provisional`, and `after_epoch` in place of the event's. Values of `WITH` win over fields of the event. Of `defaults` every status is `DEFAULT`.
```
$ redis-cli FEATURES.PUSHGET scoring payments '{"payment_id":"p2", ...}' DEADLINE 50 AT_DEADLINE last_known
```
**Pipelines.** These commands of one connection overlap: those that come together are made durable together, and are answered in their order. Any other command waits until they are answered.

## MULTI and EXEC
Pipelines of clients that begin with MULTI work (`r.pipeline()` of redis-py). No other connection's answers are among those of an EXEC, but it is **no snapshot and no transaction**: each command sees the newest epoch when it is run, and an event that was pushed stays when a command behind it fails. Ask for
what has to be of one epoch in one command: `MGET`, `FEATURES.GET`. A command that is unknown, has a wrong number of arguments, may not be run or finds no room is refused at once, and EXEC is an error then, `EXECABORT`; what goes wrong later is an error in the array. There is no `WATCH`: features are not set.
## Tokens
With `serve --tokens FILE` a connection shows its token first, with `AUTH token`, `AUTH name token` or `HELLO 3 AUTH name token`; until then only these, `RESET` and `QUIT` are run. Its scopes say which
views and services it may read; whatever they are, it may run `PING`, `ECHO`, `SELECT`, `CLIENT`, `COMMAND`, `CONFIG`, `MULTI`, `EXEC` and `DISCARD`, and `INFO` if it may read or watch ([security.md](../operating/security.md)); a restricted feature is refused by name, and so is `HGETALL` of a view that has one, unless the scopes have `restricted`.
A token that is removed from the file ends with the next command of the connections that showed it.

## Errors
| begins with | is |
|---|---|
| `ERR` | a wrong command, argument, name; a protocol error, after which the connection is closed |
| `READONLY` | a command that would write |
| `NOAUTH` | tokens are asked for, and none was shown, or one that was removed since |
| `WRONGPASS` | a token that nobody has by this name |
| `NOPERM` | a view, service or restricted feature that the token's scopes do not allow; `AUTH` where no token is asked for |
| `LOADING` | the start is not over: how far it is |
| `REFUSED` | no event was accepted: the field, the rule, and where it is kept |
| `LATE` | a push and get with `refuse` whose deadline has passed: what is known of the event, or the token to ask |
| `EXECABORT` | an EXEC of which a command was refused: none was run |
| `FULL` | the log has reached its limit, or the disk is full: nothing was taken in |
| `TRYAGAIN` | events come faster than they become durable, the answer could not be read from one epoch in time, the epoch did not become visible in time, or memory is short: ask again |

## Limits
| limit | at the limit |
|---|---|
| 8,192 arguments, 1 MiB each, 4 MiB a command; 64 KiB a line | an error, and the connection is closed |
| 16,384 connections, or the memory budget | `-ERR max number of clients reached`, closed |
| 1 MiB of answers that nobody reads | no command is run until half of it is read; after 30 s without a byte taken, closed |
| before a token was shown: 10 arguments, 1 KiB each, 4 KiB a command, 2 KiB a line; 10 s | an error, and the connection is closed |
| 30 s without a byte inside a command, 60 s from its first byte to its last | an error, closed |
| the memory budget, for what has come of a command (over 64 KiB as for rows) | `TRYAGAIN`, closed; nothing of the command was done |
| 300 s without a byte | closed |
| 8,192 commands between MULTI and EXEC, 4 MiB of them; the memory budget | `ERR`; `TRYAGAIN`; and `EXECABORT` of the EXEC |
| 1,024 overlapping commands under way on a connection | it is not read |
| 262,144 values of an answer to `HMGET` or `MGET`, each element of a list counted; the memory budget | an error; `TRYAGAIN` |
| 262,144 features of all keys of an `MGET` or `EXISTS` together, as all of a key are computed, whichever is asked for | an error |
| 10,000 requests that wait for an epoch, and what they hold; the memory budget but a sixteenth | `TRYAGAIN` |
| 1 MiB an event; events of over 2 KiB together are typed on an executor, and charged to the memory budget until then | a dead letter (rule `size`); `TRYAGAIN` |

Commands of one connection are answered in their order; what came together is answered with one write.
)";

}  // namespace

std::span<const RespCommandRow> RespCommandTable() { return kTable; }

std::string RespReference() {
  std::string text(kIntroduction);
  for (const RespCommandRow& row : kTable) {
    std::string name;
    for (const char c : row.name) name += static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    std::string syntax;
    for (const char c : row.syntax) syntax += c == '|' ? std::string("\\|") : std::string(1, c);
    text +=
        fmt::format("| `{}{}{}` | {} |\n", name, syntax.empty() ? "" : " ", syntax, row.summary);
  }
  text += kEnd;
  return text;
}

}  // namespace headrace::serving
