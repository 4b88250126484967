// The media process's estimates of what the ways down carry, from its log: lines with `participant` and `estimate_bps`.

/** What the appliance has to log for it. */
export const LOG_FILTER = "warn,belfry=info,belfry_media::downlink=debug";

export class Estimates {
  constructor(appliance) {
    this.rows = [];
    let rest = "";
    appliance.process.stderr.on("data", (chunk) => {
      const lines = `${rest}${chunk}`.split("\n");
      rest = lines.pop();
      for (const line of lines) this.read(line);
    });
  }

  read(line) {
    const participant = /participant="?(PA_\w+)/.exec(line)?.[1];
    const estimate = /estimate_bps=(\d+)/.exec(line)?.[1];
    if (participant && estimate) this.rows.push([participant, Date.now(), Number(estimate)]);
  }

  /** `[unix ms, bit/s]` of some participants' connections in a time. */
  of(sids, from, to) {
    return this.rows.filter(([sid, at]) => sids.has(sid) && at >= from && at <= to).map(([, at, value]) => [at, value]);
  }
}
