// The page's few icons: 16 × 16, drawn with the current colour. A word stands beside each of them.
const shapes = {
  overview: "M2 12.5 5.5 7l3 3L13.5 3.5",
  outbox: "M2 9.5V13h12V9.5M2 9.5h3.5l1 2h3l1-2H14M8 2v5.5M5.5 5 8 7.5 10.5 5",
  dead: "M4.5 13V5.5a3.5 3.5 0 0 1 7 0V13M2.5 13h11M8 4.5v4M6.5 6h3",
  jobs: "M2.5 4 4 5.5 6.5 2.5M9 4h4.5M2.5 8.5 4 10l2.5-3M9 8.5h4.5M3 13h2.5M9 13h4.5",
  orders: "M3.5 2h9v12l-2.25-1.5L8 14l-2.25-1.5L3.5 14zM6 5.5h4M6 8.5h4",
  topics: "M2.5 3.5h11v3h-11zM2.5 9.5h11v3h-11z",
  messages: "M2.5 3.5h11v7.5H7.5L4.5 13.5V11h-2z",
  brokers: "M3 2.5h10v4H3zM3 9.5h10v4H3zM5.5 4.5h.01M5.5 11.5h.01M8 6.5v3",
  groups: "M6 7.5a2.25 2.25 0 1 0 0-4.5 2.25 2.25 0 0 0 0 4.5M2 13c0-2.5 1.75-3.75 4-3.75S10 10.5 10 13M10.5 3.25a2.25 2.25 0 0 1 0 4M12 9.75c1.25.5 2 1.5 2 3.25",
  relays: "M2.5 4h8M2.5 8h11M2.5 12h6M12 2.5 13.5 4 12 5.5",
  audit: "M3.5 2h6.5l2.5 2.5V14h-9zM6 7h4M6 9.5h4M6 12h2.5",
  refresh: "M13 5.5A5.5 5.5 0 1 0 13.5 8.5M13.5 2.5v3.25h-3.25",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M12.6 3.4l-.7.7M4.1 11.9l-.7.7",
  moon: "M13.5 9.5A6 6 0 0 1 6.5 2.5a5.75 5.75 0 1 0 7 7z",
  auto: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2v12M8 5l4 1.5M8 8h6M8 11l4-1.5",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  check: "M3 8.5 6.5 12 13 4.5",
  close: "M4 4l8 8M12 4l-8 8",
  down: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4",
  left: "M10 4 6 8l4 4",
  up: "M4 10l4-4 4 4",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.5 10.5l3.5 3.5",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  save: "M8 2v8M4.5 7 8 10.5 11.5 7M2.5 13.5h11",
  link: "M9.5 3h3.5v3.5M13 3 7.5 8.5M11.5 9v4h-8.5V4.5h4",
  columns: "M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10",
} as const;

export type IconName = keyof typeof shapes;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
      <path d={shapes[name]} />
    </svg>
  );
}
