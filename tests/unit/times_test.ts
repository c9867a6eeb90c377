/** Times of day as callers and models write them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { readTime } from "../../shared/times.ts";

/** The time that was read: `02:30|14:30`, an offset after it, an instant, or a dash. */
function read(text: string): string {
  const said = readTime(text);
  if (said === undefined) return "-";
  return "instant" in said ? said.instant : said.times.join("|") + (said.offset ?? "");
}

const readings: Readonly<Record<string, readonly string[]>> = {
  "14:30": [
    ...["14:30", " 14:30 ", "14.30", "14h30", "1430", "14:30:00", "2:30 PM", "2:30 p.m.", "2:30PM"],
    ...[
      "T14:30",
      "2:30p",
      "230p",
      "two-thirty p.m.",
      "tomorrow afternoon, 2:30",
      "2:30 PM on 2027-01-11",
    ],
    ...[
      "fourteen thirty",
      "two thirty in the afternoon",
      "half past two pm",
      "2:30 this afternoon",
    ],
    ...["14:30 - 15:00", "14:30-15:00", "14:30–15:00", "from 14:30 to 15:00", "14:30 until 15:00"],
    ...["2:30 - 3:00 PM", "2:30pm-3pm", "between 2:30 and 3 p.m.", "Monday 11 January at 2:30 PM"],
    ...["tomorrow 14:30", "2027-01-11T14:30", "2027-01-11 14:30:00", "2027-01-11T14:30/15:00"],
  ],
  "02:30|14:30": [
    ...["2:30", "02:30", "2.30", "2:30.", "at 2:30", "around 2:30", "Tuesday at 2:30", "230"],
    ...["two thirty", "Half past two", "half two", "thirty minutes past 2", "2:30-3:00"],
    ...["two-thirty", "half-past two", "half-past-two", "2:30 or so", "half past two or so"],
    ...["２：３０", "T2:30", "the one at 2:30", "the 2:30 one", "my 2:30 appointment, please"],
    ...["my appointment with Dr. Patel on Tuesday at 2:30", "the day after tomorrow at 2:30"],
    ...["the fourteenth of January, 2:30", "2:30 on Monday the 11th", "January 11 2027 2:30"],
    ...["Tuesday 2:30 - 3:00", "Mon 2027-01-11 2:30"],
  ],
  "02:00|14:00": ["2", "two", "two o'clock", "2 o’clock", "two sharp"],
  "02:05|14:05": ["two oh five", "five past two", "2:05"],
  "02:40|14:40": ["20 to 3", "twenty to three"],
  "14:40": ["20 to 3 pm"],
  // A range, or minutes before the hour.
  "10:50|22:50|10:00|22:00": ["10 to 11", "ten to eleven", "Tuesday at 10 to 11", "10 till 11"],
  "10:50|10:00": ["10 to 11 AM", "ten to eleven in the morning"],
  "00:50|12:50|10:00|22:00": ["ten to one"],
  "05:55|17:55|05:00|17:00": ["five to six"],
  "14:00": ["2 to 3 PM", "two to three in the afternoon", "14 to 15", "2-3 PM"],
  "15:00": ["3 to 4 in the afternoon"],
  "10:00": ["10 to 15", "10 - 11 am"],
  "10:00|22:00": ["from 10 to 11", "between ten and eleven", "10-11", "10 to 11:30"],
  "11:30|23:30": ["11:30-01:00", "11:30 - 01:00"],
  "11:30-01:00": ["T11:30-01:00", "11:30:00-01:00"],
  "02:45|14:45": ["quarter to three", "a quarter of 3", "two forty-five", "two forty five"],
  "00:50|12:50": ["ten minutes to one", "12:50"],
  "11:30": ["11:30 am", "11:30 - 12:30 PM", "eleven thirty a.m.", "11:30 in the morning"],
  "09:00": ["9am", "9 AM", "nine in the morning", "0900 am", "tomorrow morning at nine"],
  "09:00|21:00": ["9", "0900", "oh nine hundred", "09:00"],
  "21:00": ["9 at night", "tonight at 9", "21:00", "9 in the evening", "21"],
  "01:00": ["1 at night", "1 am"],
  "12:00": ["noon", "12 noon", "Midday", "12 pm", "12:00 p.m."],
  "00:00": ["midnight", "12 midnight", "00:00", "24:00", "12 am"],
  "00:30": ["0:30", "12:30 am"],
  "14:30+00:00": ["14:30Z", "14:30 UTC", "14:30+00:00"],
  "14:30-05:00": ["14:30-05:00", "14:30:00-0500", "14:30 -05:00"],
  "02:30+01:00": ["2:30+01:00"],
  "2027-01-11T14:30:00+00:00": [
    ...["2027-01-11T14:30:00Z", "2027-1-11T14:30:00z", "2027-01-11 14:30:00+0000"],
    "2027-01-11T14:30:00Z/2027-01-11T15:00:00Z",
  ],
  "2027-01-11T09:30-05:00": ["2027-01-11T9:30-05:00"],
  "-": [
    ...["", "later", "soon", "morning", "in the afternoon", "25:00", "14:75", "14:30 am", "sixty"],
    ...["2:5", "two two", "2:30 or 3:00", "after 2", "before 3 pm", "2027-01-11", "Monday"],
    ...[
      "2027-01-11T10:00:00+20:00",
      "10:00+20:00",
      "2027-01-11T99:00:00Z",
      "2027-01-11T14:75",
      "99",
      "first thing",
      "the 14th of January",
    ],
    // The time is not the one that is meant, or not the only one.
    ...["not 2:30", "not at 2:30", "9 or 2:30", "either 9 or 2:30", "either at 9 or at 2:30"],
    ...[
      "anything but 2:30",
      "any but the one at 2:30",
      "after 2:30",
      "before 2:30 pm",
      "past 2:30",
    ],
    ...["except 2:30", "instead of 2:30", "earlier than 2:30", "later than 2:30", "until 2:30"],
    ...["other than 2:30", "2:30, no, 9", "the 2:30 not the 9", "to 2:30", "2:30 to be changed"],
    ...["9, 2:30", "9am, 2:30pm", "9 and 2:30", "9:00 and 2:30", "Tuesday 9 am 2:30 pm"],
    ...["at 9 Tuesday at 2:30", "noon Tuesday 2:30", "2:30 am or pm", "Tuesday 10 2:30"],
    ...["after lunch at 2:30", "I can't make 2:30", "before Tuesday at 2:30", "not at noon"],
    ...["not in the morning, at 2:30", "not 10 to 11", "2:30 Eastern", "an hour from 2:30"],
  ],
};

Deno.test("times are read as they are written or said; if nobody named a half of the day, both stay open", () => {
  for (const [expected, texts] of Object.entries(readings)) {
    for (const text of texts) assert.equal(read(text), expected, JSON.stringify(text));
  }
});

Deno.test("any text is read as a time that a clock can show, or not at all", () => {
  const piece = fc.oneof(
    fc.string({ maxLength: 5, unit: "grapheme" }),
    fc.constantFrom(..."- to at pm half quarter past two thirty T Z : 14 1:30 / +05:00".split(" ")),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const said = readTime(pieces.join(" ")) ?? { times: ["00:00"] };
      if ("instant" in said) assert.ok(!Number.isNaN(Date.parse(said.instant)));
      else {
        assert.ok([1, 2, 3, 4].includes(said.times.length));
        assert.equal(new Set(said.times).size, said.times.length);
        for (const time of said.times) assert.match(time, /^([01]\d|2[0-3]):[0-5]\d$/);
      }
    }),
  );
});
