// What the element looks like. Pages set --loyalty-… or style ::part(…).

const STYLE = `
:host {
  display: block; max-inline-size: 28rem; container-type: inline-size;
  --_background: var(--loyalty-background, light-dark(#ffffff, #17191d));
  --_color: var(--loyalty-color, light-dark(#1b1f24, #f1f3f5));
  --_muted: var(--loyalty-muted, light-dark(#57606a, #b1bac4));
  --_accent: var(--loyalty-accent, light-dark(#0b6b58, #4cd0b0));
  --_track: var(--loyalty-track, light-dark(#dde3e9, #363c44));
  --_border: var(--loyalty-border, light-dark(#d3d9e0, #363c44));
  --_warning: var(--loyalty-warning, light-dark(#8a3d00, #ffb866));
  --_warning-background: var(--loyalty-warning-background, light-dark(#fff4e5, #33261a));
}
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; margin: 0; padding: 0; }
.card {
  display: flex; flex-wrap: wrap; gap: 1rem 1.25rem; align-items: center;
  padding: var(--loyalty-padding, 1.25rem);
  border: 1px solid var(--_border); border-radius: var(--loyalty-radius, 0.875rem);
  background: var(--_background); color: var(--_color);
  font: 1rem/1.45 var(--loyalty-font, system-ui, sans-serif);
  overflow-wrap: anywhere; text-wrap: pretty;
}
.card:focus { outline: none; }
.ring { position: relative; flex: none; inline-size: 6rem; block-size: 6rem; }
.ring svg { display: block; inline-size: 100%; block-size: 100%; transform: rotate(-90deg); }
circle { fill: none; stroke-width: 9; }
.track { stroke: var(--_track); }
.arc { stroke: var(--_accent); stroke-linecap: round; }
.inside {
  position: absolute; inset: 0; display: grid; place-items: center;
  font-weight: 600; font-variant-numeric: tabular-nums;
}
.inside.complete { font-size: 2rem; color: var(--_accent); }
.body { flex: 1 1 12rem; min-inline-size: 0; display: grid; gap: 0.25rem; }
.tier { font-weight: 600; color: var(--_accent); }
.points { display: flex; flex-wrap: wrap; align-items: baseline; column-gap: 0.4rem; }
.number {
  font-size: 2.25rem; font-weight: 700; line-height: 1.1; font-variant-numeric: tabular-nums;
  border-radius: 0.25rem;
}
.unit { font-weight: 600; }
.value, .muted { color: var(--_muted); }
.small, summary, li { font-size: 0.875rem; }
.debt { color: var(--_warning); font-weight: 600; }
summary { cursor: pointer; inline-size: fit-content; color: var(--_accent); }
ul { list-style: none; padding-block-start: 0.25rem; }
li { color: var(--_muted); }
.note {
  flex: 1 1 100%; display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center;
  justify-content: space-between; padding: 0.5rem 0.75rem; border-radius: 0.5rem;
  background: var(--_warning-background); color: var(--_warning); font-size: 0.875rem;
}
.note.plain { background: none; color: var(--_muted); padding: 0; }
button {
  font: inherit; font-weight: 600; color: inherit; background: none; cursor: pointer;
  border: 1px solid currentColor; border-radius: 0.375rem; padding: 0.25rem 0.625rem;
  min-block-size: 1.75rem;
}
button:focus-visible, summary:focus-visible {
  outline: 2px solid var(--_accent); outline-offset: 2px;
}
.spoken {
  position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap;
}
@container (max-width: 17rem) {
  .ring { inline-size: 4.5rem; block-size: 4.5rem; font-size: 0.875rem; }
}
@media (prefers-reduced-motion: no-preference) {
  .arc { transition: stroke-dasharray 0.8s ease; }
  .number.changed { animation: changed 1.2s ease; }
  @keyframes changed {
    0%, 40% { background: color-mix(in srgb, var(--_accent) 25%, transparent); }
  }
}
@media (forced-colors: active) {
  .track { stroke: CanvasText; stroke-width: 2; }
  .arc { stroke: Highlight; }
}
`;

const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE);
