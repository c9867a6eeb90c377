/** Busy times of a calendar: which events count, when they are, and that no calendar is a bomb. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { createEvents, type EventAttributes } from "../support/calendars.ts";
import { readBusyTimes } from "../../shared/icalendar.ts";

const window = { from: "2026-10-01T00:00:00Z", until: "2027-04-30T00:00:00Z" };

/** The busy times of a calendar's text, as "from/until" without what is always the same. */
async function read(
  text: string,
  { zone = "Europe/London", from = window.from, until = window.until, budgetMs = Infinity } = {},
) {
  const reading = await readBusyTimes(new TextEncoder().encode(text), {
    zone,
    from: Date.parse(from),
    until: Date.parse(until),
    isOwn: (uid) => uid.endsWith("@own"),
    // The machine may be busy.
    budgetMs,
  });
  const write = (at: number) => new Date(at).toISOString().replace(/:00\.000Z$/, "Z");
  return reading.ok
    ? reading.spans.map(([from, until]) => `${write(from)}/${write(until)}`)
    : reading.reason;
}

/** The busy times of one calendar of these events. */
const busy = (events: readonly EventAttributes[], options: Parameters<typeof read>[1] = {}) =>
  read(createEvents(events), options);

const nine = { DTSTART: "20261102T090000Z", DTEND: "20261102T100000Z" };
const atNine = ["2026-11-02T09:00Z/2026-11-02T10:00Z"];

Deno.test("an event is busy, unless it is cancelled, shown as free, our own or without length", async () => {
  assert.deepEqual(await busy([nine]), atNine);
  assert.deepEqual(await busy([{ ...nine, STATUS: "TENTATIVE", TRANSP: "OPAQUE" }]), atNine);
  const free: readonly EventAttributes[] = [
    { ...nine, STATUS: "CANCELLED" },
    { ...nine, TRANSP: "TRANSPARENT" },
    { ...nine, "X-MICROSOFT-CDO-BUSYSTATUS": "FREE" },
    { ...nine, UID: "0f0e@own" },
    { ...nine, DTEND: nine.DTSTART },
    { ...nine, DTEND: "20261102T080000Z" },
    { DTSTART: "20261102T090000Z" },
    { DTSTART: "20261102T090000Z", DURATION: "-PT1H" },
    { DTSTART: "20240102T090000Z", DTEND: "20240102T100000Z" },
    { DTSTART: "20290102T090000Z", DTEND: "20290102T100000Z" },
  ];
  for (const event of free) assert.deepEqual(await busy([event]), [], JSON.stringify(event));
  assert.deepEqual(await read("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"), []);
});

Deno.test("times that overlap or touch are one, and end where the window does", async () => {
  const all = [
    nine,
    { DTSTART: "20261102T093000Z", DTEND: "20261102T103000Z" },
    { DTSTART: "20261102T103000Z", DTEND: "20261102T110000Z" },
    { DTSTART: "20261102T120000Z", DTEND: "20261102T120100Z" },
    { DTSTART: "20200101T000000Z", DTEND: "20261001T080000Z" },
    { DTSTART: "20270429T220000Z", DURATION: "P2D" },
  ];
  assert.deepEqual(await busy(all.toReversed()), [
    "2026-10-01T00:00Z/2026-10-01T08:00Z",
    "2026-11-02T09:00Z/2026-11-02T11:00Z",
    "2026-11-02T12:00Z/2026-11-02T12:01Z",
    "2027-04-29T22:00Z/2027-04-30T00:00Z",
  ]);
});

Deno.test("a day and a time without a zone are the clinic's, a UTC time is nobody's", async () => {
  const day = [{ "DTSTART;VALUE=DATE": "20261224", "DTEND;VALUE=DATE": "20261227" }];
  assert.deepEqual(await busy(day), ["2026-12-24T00:00Z/2026-12-27T00:00Z"]);
  assert.deepEqual(await busy(day, { zone: "America/New_York" }), [
    "2026-12-24T05:00Z/2026-12-27T05:00Z",
  ]);
  // 25 hours in London, 23 in spring.
  assert.deepEqual(await busy([{ "DTSTART;VALUE=DATE": "20261025" }]), [
    "2026-10-24T23:00Z/2026-10-26T00:00Z",
  ]);
  assert.deepEqual(await busy([{ "DTSTART;VALUE=DATE": "20270328", DURATION: "P1D" }]), [
    "2027-03-28T00:00Z/2027-03-28T23:00Z",
  ]);
  const floating = [{ DTSTART: "20261102T090000", DTEND: "20261102T100000" }];
  assert.deepEqual(await busy(floating, { zone: "America/New_York" }), [
    "2026-11-02T14:00Z/2026-11-02T15:00Z",
  ]);
  assert.deepEqual(await busy([nine], { zone: "America/New_York" }), atNine);
});

const inZone = (id: string, from: string, until: string): EventAttributes => ({
  [`DTSTART;TZID=${id}`]: from,
  [`DTEND;TZID=${id}`]: until,
});

const custom = `BEGIN:VTIMEZONE
TZID:Customized Time Zone
BEGIN:STANDARD
DTSTART:16010101T020000
TZOFFSETFROM:-0400
TZOFFSETTO:-0500
RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=11
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:-0500
TZOFFSETTO:-0400
RRULE:FREQ=YEARLY;BYDAY=2SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VTIMEZONE
TZID:EST
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0100
TZOFFSETTO:+0530
END:STANDARD
END:VTIMEZONE
`;

Deno.test("a zone is known by its IANA name, by the calendar's description, or by Windows' name", async () => {
  const winter = ["2026-11-02T14:00Z/2026-11-02T15:00Z"];
  const times = ["20261102T090000", "20261102T100000"] as const;
  for (
    const id of [
      "America/New_York",
      '"America/New_York"',
      "Customized Time Zone",
      "Eastern Standard Time",
    ]
  ) {
    assert.deepEqual(await read(createEvents([inZone(id, ...times)], custom)), winter, id);
  }
  // What the calendar describes counts for more than a word that is a zone elsewhere.
  assert.deepEqual(await read(createEvents([inZone("EST", ...times)], custom)), [
    "2026-11-02T03:30Z/2026-11-02T04:30Z",
  ]);
  assert.deepEqual(await busy([inZone("EST", ...times)]), winter);
  assert.equal(await busy([inZone("Nowhere/At_All", ...times)]), "time_unknown");
  // Long ago it does not matter.
  assert.deepEqual(
    await busy([inZone("Nowhere", "20200102T090000", "20200102T100000"), nine]),
    atNine,
  );
});

Deno.test("times are right when clocks change: in a gap, twice, and across", async () => {
  const london = (from: string, until: string) => busy([inZone("Europe/London", from, until)]);
  assert.deepEqual(await london("20261025T003000", "20261025T030000"), [
    "2026-10-24T23:30Z/2026-10-25T03:00Z",
  ]);
  // Half past one comes twice and means the first; half past one in spring is half past two.
  assert.deepEqual(await london("20261025T013000", "20261025T020000"), [
    "2026-10-25T00:30Z/2026-10-25T02:00Z",
  ]);
  assert.deepEqual(await london("20270328T013000", "20270328T030000"), [
    "2027-03-28T01:30Z/2027-03-28T02:00Z",
  ]);
  for (const id of ["America/New_York", "Customized Time Zone"]) {
    const text = createEvents([
      inZone(id, "20261101T013000", "20261101T023000"),
      inZone(id, "20270314T013000", "20270314T033000"),
      inZone(id, "20270314T023000", "20270314T040000"),
    ], custom);
    assert.deepEqual(await read(text), [
      "2026-11-01T05:30Z/2026-11-01T07:30Z",
      "2027-03-14T06:30Z/2027-03-14T08:00Z",
    ], id);
  }
});

Deno.test("a series keeps its local time when clocks change, and ends with its rule", async () => {
  for (const id of ["Europe/London", "Customized Time Zone"]) {
    const weekly = {
      ...inZone(id, "20261018T090000", "20261018T100000"),
      RRULE: "FREQ=WEEKLY;COUNT=3",
    };
    const hours = id === "Europe/London" ? ["08", "09", "09"] : ["13", "13", "14"];
    const starts = (await read(createEvents([weekly], custom)) as string[]).map((one) =>
      one.slice(0, 13)
    );
    assert.deepEqual(
      starts,
      ["2026-10-18", "2026-10-25", "2026-11-01"].map((day, n) => `${day}T${hours[n]}`),
      id,
    );
  }
  const until = async (UNTIL: string) =>
    (await busy([{
      ...inZone("America/New_York", "20261102T200000", "20261102T210000"),
      RRULE: `FREQ=DAILY;UNTIL=${UNTIL}`,
    }])).length;
  // Eight in the evening is one in the morning in UTC.
  assert.deepEqual(
    await Promise.all(
      ["20261105T010000Z", "20261105T005959Z", "20261104T200000", "20261104", "20261102T200000"]
        .map(until),
    ),
    [3, 2, 3, 3, 1],
  );
  const old = { ...nine, DTSTART: "20100104T090000Z", DTEND: "20100104T100000Z" };
  const mondays = await busy([{ ...old, RRULE: "FREQ=WEEKLY;BYDAY=MO" }]);
  assert.equal(mondays[0], "2026-10-05T09:00Z/2026-10-05T10:00Z");
  assert.equal(mondays.length, 30);
  assert.deepEqual(
    await busy([{ "DTSTART;VALUE=DATE": "20200101", RRULE: "FREQ=YEARLY" }]),
    ["2027-01-01T00:00Z/2027-01-02T00:00Z"],
  );
});

Deno.test("exceptions, additions and changed events of a series count", async () => {
  const series = {
    UID: "s",
    ...inZone("Europe/London", "20261102T090000", "20261102T100000"),
    RRULE: "FREQ=DAILY;COUNT=5",
    "EXDATE;TZID=Europe/London": "20261103T090000,20261104T090000",
    RDATE: "20261110T120000Z",
  };
  const moved = {
    UID: "s",
    "RECURRENCE-ID;TZID=Europe/London": "20261105T090000",
    ...inZone("Europe/London", "20261105T150000", "20261105T153000"),
  };
  const changed = [
    "2026-11-02T09:00Z/2026-11-02T10:00Z",
    "2026-11-05T15:00Z/2026-11-05T15:30Z",
    "2026-11-06T09:00Z/2026-11-06T10:00Z",
    "2026-11-10T12:00Z/2026-11-10T13:00Z",
  ];
  assert.deepEqual(await busy([series, moved]), changed);
  assert.deepEqual(await busy([moved, series]), changed, "in any order");
  const utc = {
    ...moved,
    "RECURRENCE-ID;TZID=Europe/London": undefined,
    "RECURRENCE-ID": "20261105T090000Z",
  };
  assert.deepEqual(await busy([series, utc]), changed, "the same instant, written otherwise");
  for (const free of [{ STATUS: "CANCELLED" }, { TRANSP: "TRANSPARENT" }]) {
    assert.deepEqual(
      await busy([series, { ...moved, ...free }]),
      changed.filter((one) => !one.startsWith("2026-11-05")),
    );
  }
  assert.deepEqual(await busy([{ ...series, STATUS: "CANCELLED" }, moved]), []);
  assert.deepEqual(await busy([moved]), [changed[1]], "a changed event whose series is not there");
  const newer = {
    ...moved,
    SEQUENCE: "2",
    ...inZone("Europe/London", "20261105T160000", "20261105T163000"),
  };
  const older = { ...moved, SEQUENCE: "1" };
  for (const events of [[series, older, newer], [series, newer, older]]) {
    assert.equal((await busy(events))[1], "2026-11-05T16:00Z/2026-11-05T16:30Z");
  }
  const tail = {
    ...moved,
    "RECURRENCE-ID;TZID=Europe/London": undefined,
    "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/London": "20261105T090000",
  };
  assert.deepEqual((await busy([series, tail])).slice(1, 3), [
    "2026-11-05T15:00Z/2026-11-05T15:30Z",
    "2026-11-06T15:00Z/2026-11-06T15:30Z",
  ]);
  const days = { "DTSTART;VALUE=DATE": "20261102", RRULE: "FREQ=DAILY;COUNT=3" };
  assert.deepEqual(await busy([{ ...days, "EXDATE;VALUE=DATE": "20261103" }]), [
    "2026-11-02T00:00Z/2026-11-03T00:00Z",
    "2026-11-04T00:00Z/2026-11-05T00:00Z",
  ]);
});

Deno.test("lines are read however they are folded, ended and written", async () => {
  const text = createEvents([{
    ...nine,
    SUMMARY: "Lunch; with\\, BEGIN:VEVENT",
    'attendee;cn="a:b;c"': "x:y",
  }]);
  const folded = text.replace("DTSTART:2026", "DTSTART:20\r\n 26").replace("DTEND", "dt\r\n\tend");
  for (
    const other of [text, text.replaceAll("\r\n", "\n"), `\ufeff${folded}`, folded, `\n${text}\n\n`]
  ) {
    assert.deepEqual(await read(other), atNine, other);
  }
});

Deno.test("a calendar that is not complete is refused entirely", async () => {
  const text = createEvents([nine, { ...nine, RRULE: "FREQ=DAILY" }]);
  for (
    const wrong of [
      ...["", "<html><body>Sign in</body></html>", "null", text.slice(0, -20), text.slice(30)],
      ...[text.replace("END:VEVENT\r\n", ""), text.replace("BEGIN:VEVENT\r\n", ""), `${text}x`],
      "BEGIN:VEVENT\r\nEND:VEVENT\r\n",
      "BEGIN:VCALENDAR\r\n".repeat(20) + "END:VCALENDAR\r\n".repeat(20),
      ...[
        "FREQ=NEVER",
        "FREQ=DAILY;UNTIL=soon",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=WEEKLY;BYDAY=XX",
        "no",
      ]
        .map((rule) => text.replace("FREQ=DAILY", rule)),
    ]
  ) {
    assert.equal(await read(wrong), "not_a_calendar", wrong.slice(0, 300));
  }
  const latin = new Uint8Array([...new TextEncoder().encode(text), 0xe9]);
  const options = { zone: "Europe/London", from: 0, until: 1, isOwn: () => false };
  assert.deepEqual(await readBusyTimes(latin, options), { ok: false, reason: "not_a_calendar" });
  for (const DTSTART of ["20261301T090000Z", "20260230T090000Z", "soon", "20261102T250000Z"]) {
    assert.equal(await busy([{ ...nine, DTSTART }]), "time_unknown", DTSTART);
  }
  assert.equal(await busy([{ DTSTART: nine.DTSTART, DURATION: "long" }]), "time_unknown");
});

Deno.test("a calendar that would grow without end is refused", async () => {
  const endless = [
    ...["SECONDLY", "MINUTELY", "HOURLY"].map((freq) => `FREQ=${freq}`),
    "FREQ=DAILY;COUNT=1000000000",
    `FREQ=DAILY;BYHOUR=${[...Array(24).keys()]};BYMINUTE=${[...Array(60).keys()]}`,
  ];
  for (const RRULE of endless) {
    const event = { DTSTART: "19700105T090000Z", DTEND: "19700105T090001Z", RRULE };
    assert.equal(await busy([event]), "too_much", RRULE.slice(0, 80));
  }
  const weekly = { ...nine, RRULE: "FREQ=WEEKLY" };
  assert.equal(await busy([weekly], { budgetMs: 0 }), "too_much", "each rule costs time");
  // Never met, or met too rarely to matter.
  for (
    const RRULE of ["FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31"]
  ) {
    const answer = await busy([{ DTSTART: "19700105T090000Z", DTEND: "19700105T090001Z", RRULE }]);
    assert.ok(answer === "too_much" || answer.length === 0, RRULE);
  }
  assert.equal(
    await read(
      createEvents(Array(20_001).fill({})),
    ),
    "too_much",
  );
});

Deno.test("bytes of any kind give busy times in order or a reason, and never an error", async () => {
  const parts = [
    ...["BEGIN:VCALENDAR", "END:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT", "BEGIN:VTIMEZONE"],
    ...["END:VTIMEZONE", "TZID:X", "DTSTART;TZID=X:20261102T090000", "DTSTART:20261102T090000Z"],
    ...[
      "DTEND:20261102T100000Z",
      "DURATION:PT1H",
      "RRULE:FREQ=WEEKLY;COUNT=3",
      "EXDATE:20261109T090000Z",
    ],
    ...[
      "RECURRENCE-ID:20261109T090000Z",
      "UID:a",
      "DTSTART;VALUE=DATE:20261102",
      ":",
      ";",
      "",
      " ",
    ],
  ];
  const lines = fc.array(
    fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...parts) }, fc.string()),
  );
  await fc.assert(fc.asyncProperty(lines, async (middle) => {
    const text = ["BEGIN:VCALENDAR", ...middle, "END:VCALENDAR"].join("\r\n");
    const answer = await read(text);
    if (typeof answer === "string") {
      assert.match(answer, /^(not_a_calendar|time_unknown|too_much)$/);
    } else assert.deepEqual(answer, [...new Set(answer)].sort());
  }));
});
