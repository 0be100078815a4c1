#!/usr/bin/env node
// A complete producer for celery-recommender: Redis is all it needs to know.
//
//   node producer.mjs '{"id":"T-1","collection":"tickets","text":"The screen stays black"}'
//   node producer.mjs --wait 10 < items.jsonl
//
// Standard output, one line per command: without --wait the id it got in the commands stream, with --wait the
// events that answer it. Exit status: 0 all sent (and answered), 1 rejected or not answered in time, 2 wrong usage.
// While more than --most-waiting commands wait in the stream, or Redis is out of memory, it waits for room.

import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { createClient } from "redis";

const USAGE = "usage: node producer.mjs [--redis URL|SOCKET] [--partition P] [--type T] [--key K] [--wait SECONDS] [--most-waiting N] [JSON ...]";
const REJECTED = "recommender.command.rejected.v1";
// What a command brings about beside its outcome: these events name it as well, and some come first.
const CONSEQUENCES = [
  "item.revised",
  "group.changed",
  "items.backfilled",
  "incident.opened",
  "incident.updated",
  "incident.closed",
  "recommendations.updated",
].map((name) => `recommender.${name}.v1`);
const EVENTS_PER_READ = 1000;
const LONGEST_PAUSE_MS = 5000;
const MAX_RECONNECTS = 5; // three seconds in all

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      redis: { type: "string", default: process.env.REDIS_URL ?? "redis://127.0.0.1:6379/0" },
      partition: { type: "string", default: "default" },
      type: { type: "string", default: "item.upsert" },
      key: { type: "string" },
      wait: { type: "string", default: "0" },
      "most-waiting": { type: "string", default: "1000000" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const waitMs = Number(values.wait) * 1000;
  if (!(waitMs >= 0 && Number.isFinite(waitMs))) throw new TypeError("--wait takes a number of seconds");
  const mostWaiting = Number(values["most-waiting"]);
  if (!(Number.isInteger(mostWaiting) && mostWaiting > 0)) throw new TypeError("--most-waiting takes a whole number from 1");
  return { ...values, waitMs, mostWaiting, payloads: positionals };
}

// A path, plain or as unix:///path, is a Unix socket; anything else is a redis:// or rediss:// address.
function connect(server) {
  const url = server.startsWith("unix://") ? new URL(server) : undefined;
  const path = url ? decodeURIComponent(url.pathname) : server;
  const database = Number(url?.searchParams.get("db") ?? 0);
  const reconnectStrategy = (retries, cause) => (retries < MAX_RECONNECTS ? 100 * 2 ** retries : cause);
  const client = createClient(
    path.startsWith("/") ? { database, socket: { path, reconnectStrategy } } : { url: server, socket: { reconnectStrategy } },
  );
  client.on("error", (error) => console.error(`redis: ${error.message || error.code}`));
  return client.connect();
}

async function* payloadsOf(options) {
  const source = options.payloads.length ? options.payloads : createInterface({ input: process.stdin });
  for await (const payload of source) if (payload.trim()) yield payload;
}

// The payload goes out as it is: the worker is the one judge of what is valid, and it answers with a reason.
// A key makes it safe to send again after a broken connection: a repeat of the same key has no second effect.
// How many commands wait comes back with the id, so that slowing down in time costs no round trip.
async function send(client, stream, payload, { type, key }, count) {
  const fields = { type, data: payload };
  if (key !== undefined) fields.key = `${key}/${count}`;
  const [id, waiting] = await client.multi().xAdd(stream, "*", fields).xLen(stream).exec();
  return { id, waiting };
}

// Nothing is appended at "OOM" (Redis is at its maxmemory), so the same command can be sent again.
async function sendWhenThereIsMemory(...command) {
  for (const pause of pauses()) {
    try {
      return await send(...command);
    } catch (error) {
      const causes = [error, ...(error.errors?.() ?? error.replies ?? [])];
      if (!causes.some((one) => /^(OOM|EXECABORT)/.test(one?.message ?? ""))) throw error;
      console.error("redis is out of memory: waiting");
    }
    await pause();
  }
}

async function waitForRoom(client, stream, mostWaiting) {
  for (const pause of pauses()) {
    if ((await client.xLen(stream)) < mostWaiting) return;
    await pause();
  }
}

// Longer and longer, and not the same for all producers.
function* pauses() {
  for (let ms = 100; ; ms = Math.min(2 * ms, LONGEST_PAUSE_MS)) {
    yield () => new Promise((resolve) => setTimeout(resolve, ms * (0.5 + Math.random())));
  }
}

async function lastIdOf(client, stream) {
  const [last] = await client.xRevRange(stream, "+", "-", { COUNT: 1 });
  return last?.id ?? "0-0";
}

function isOutcome(event) {
  return !CONSEQUENCES.includes(event.type) && !event.data.expired;
}

// Read on from an entry until every pending command has its event or the time is up; empties `pending`.
async function* answersTo(client, stream, position, pending, waitMs) {
  const deadline = Date.now() + waitMs;
  while (pending.size > 0 && Date.now() < deadline) {
    const block = Math.max(1, deadline - Date.now()); // BLOCK 0 would wait for ever
    const streams = await client.xRead({ key: stream, id: position }, { BLOCK: block, COUNT: EVENTS_PER_READ });
    for (const { id, message } of streams?.[0]?.messages ?? []) {
      position = id;
      const event = JSON.parse(message.event);
      if (isOutcome(event) && pending.delete(event.data.command?.id)) yield event;
    }
  }
}

async function main(options) {
  const commands = `recommender:${options.partition}:commands`;
  const events = `recommender:${options.partition}:events`;
  const client = await connect(options.redis);
  try {
    const position = options.waitMs > 0 ? await lastIdOf(client, events) : undefined;
    const pending = new Set();
    let sent = 0;
    let waiting = options.mostWaiting; // not known yet
    for await (const payload of payloadsOf(options)) {
      if (waiting >= options.mostWaiting) await waitForRoom(client, commands, options.mostWaiting);
      let id;
      ({ id, waiting } = await sendWhenThereIsMemory(client, commands, payload, options, ++sent));
      if (position === undefined) console.log(id);
      else pending.add(id);
    }
    let rejected = 0;
    if (position !== undefined) {
      for await (const event of answersTo(client, events, position, pending, options.waitMs)) {
        console.log(JSON.stringify(event));
        if (event.type === REJECTED) rejected += 1;
      }
    }
    if (pending.size > 0) console.error(`${pending.size} of ${sent} commands not answered within ${options.wait} s`);
    return rejected > 0 || pending.size > 0 ? 1 : 0;
  } finally {
    await client.close();
  }
}

let options;
try {
  options = readArguments();
} catch (error) {
  console.error(`${error.message}\n${USAGE}`);
  process.exit(2);
}
if (options.help) console.log(USAGE);
else {
  process.exitCode = await main(options).catch((error) => {
    console.error(error.message || error.code);
    return 1;
  });
}
