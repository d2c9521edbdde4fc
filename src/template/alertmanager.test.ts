import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type NotificationData, NotificationTemplates } from './alertmanager.ts';
import { defaultLimits } from './budget.ts';

const startsAtMs = Date.UTC(2026, 0, 1, 12);
const nowMs = startsAtMs + 90_000;
const labels = new Map([
  ['severity', 'page'],
  ['alertname', 'Down'],
  ['instance', 'a<b>'],
]);

const data: NotificationData = {
  receiver: 'team.x',
  status: 'firing',
  alerts: [
    {
      status: 'firing',
      labels,
      annotations: new Map([['summary', 'é is down']]),
      startsAtMs,
      endsAtMs: undefined,
      generatorUrl: 'http://host/graph?g0.expr=up&g0.tab=1',
      fingerprint: '0123456789abcdef',
    },
    {
      status: 'resolved',
      labels: new Map([['alertname', 'Up']]),
      annotations: new Map(),
      startsAtMs,
      endsAtMs: startsAtMs + 1500,
      generatorUrl: '',
      fingerprint: 'f',
    },
  ],
  notificationReason: 'first notification',
  groupLabels: new Map([['alertname', 'Down']]),
  commonLabels: labels,
  commonAnnotations: new Map(),
  routeLabels: new Map([
    ['team', '{{ .GroupLabels.alertname | toUpper }}'],
    ['page', '{{ routeLabels "team" }}!'],
    ['loop', '{{ routeLabels "loop" }}'],
  ]),
  externalUrl: 'http://alerts',
};

const templates = NotificationTemplates.of(defaultLimits, () => nowMs).with(
  'own.tmpl',
  '{{ define "title" }}[{{ .Status | toUpper }}:{{ .Alerts.Firing | len }}] {{ .CommonLabels.SortedPairs.Values | join " " }}{{ end }}',
);

test('functions and data of notifications', () => {
  for (const [template, expected] of [
    ['{{ template "title" . }}', '[FIRING:1] Down a<b> page'],
    ['{{ .Receiver }}', 'team\\.x'],
    ['{{ .CommonLabels }}', 'alertname=Down, instance=a<b>, severity=page'],
    ['{{ .CommonLabels.Remove (stringSlice "alertname" "instance") }}', 'severity=page'],
    ['{{ .CommonLabels.Names.Join "/" }}', 'alertname/instance/severity'],
    ['{{ range .Alerts }}{{ .Labels.alertname }} {{ .StartsAt.Unix }},{{ end }}', 'Down 1767268800,Up 1767268800,'],
    ['{{ (index .Alerts 0).EndsAt.IsZero }} {{ since (index .Alerts 0).StartsAt }}', 'true 1m30s'],
    ['{{ (index .Alerts 1).EndsAt }}', '2026-01-01 12:00:01.5 +0000 UTC'],
    ['{{ (index .Alerts 0).StartsAt | tz "Europe/Berlin" | date "15:04 -0700" }}', '13:00 +0100'],
    ['{{ date "Mon, 2 Jan 2006" now }}', 'Thu, 1 Jan 2026'],
    ['{{ (toDate "2006-01-02" "2026-03-04").Weekday }} {{ (toDate "2006" "x").Year }}', 'Wednesday 1'],
    ['{{ title "tHIS part_of IT\'s" }} {{ trimSpace " \\u00a0x\\n" }}', "This Part_of It's x"],
    ['{{ .GroupLabels | toJson }} {{ dict "b" (list 1 "<") | toJson }}', '{"alertname":"Down"} {"b":[1,"\\u003c"]}'],
    ['{{ append (list 1) 2 3 }} {{ base64encode "a?>é" }} {{ base64decode "YT8-w6k=" }}', '[1 2 3] YT8-w6k= a?>é'],
    ['{{ urlUnescape "a%20b+c" }} {{ humanizeDuration 3725 }}', 'a b c 1h 2m 5s'],
    ['{{ reReplaceAll "(a)(.*)" "$2-\x24{1}" "abc" }} {{ match "^a" "abc" }}', 'bc-a true'],
    ['{{ routeLabels "page" }} {{ routeLabels "none" }}', 'DOWN! '],
  ] as const) {
    assert.equal(templates.text(template, data), expected, template);
  }
});

test('a notification as HTML escapes what its alerts say', () => {
  const html =
    '<a href="{{ (index .Alerts 0).GeneratorURL | safeUrl }}">{{ .CommonLabels.instance }}</a>{{ "<i>" | safeHtml }}';
  assert.equal(templates.html(html, data), '<a href="http://host/graph?g0.expr=up&amp;g0.tab=1">a&lt;b&gt;</a><i>');
});

test('errors name the template and what was called', () => {
  for (const [template, message] of [
    ['{{ .Nope }}', 'template: :1:3: executing "" at <.Nope>: can\'t evaluate field Nope in type *template.Data'],
    [
      '{{ tz "Mars" now }}',
      'template: :1:3: executing "" at <tz "Mars" now>: error calling tz: unknown time zone Mars',
    ],
    [
      '{{ dict 1 }}',
      'template: :1:3: executing "" at <dict 1>: error calling dict: dict requires an even number of arguments',
    ],
    [
      '{{ mustToDate "2006-01-02" "2026-13-01" }}',
      'template: :1:3: executing "" at <mustToDate "2006-01-02" "2026-13-01">: error calling mustToDate: ' +
        'parsing time "2026-13-01": month out of range',
    ],
    ['{{ nope }}', 'template: :1: function "nope" not defined'],
    [
      '{{ mustToDate "2006" "é" }}',
      'template: :1:3: executing "" at <mustToDate "2006" "é">: error calling mustToDate: ' +
        'parsing time "\\xc3\\xa9" as "2006": cannot parse "\\xc3\\xa9" as "2006"',
    ],
    ...[
      ['YQ', 0],
      ['YQ=', 3],
      ['YQ==x', 4],
      ['Y!', 1],
    ].map(
      ([text, at]) =>
        [
          `{{ base64decode "${text}" }}`,
          `template: :1:3: executing "" at <base64decode "${text}">: error calling base64decode: illegal base64 data at input byte ${at}`,
        ] as const,
    ),
    [
      '{{ .routeLabelsRendered }}',
      'template: :1:3: executing "" at <.routeLabelsRendered>: ' +
        'routeLabelsRendered is an unexported field of struct type *template.Data',
    ],
  ] as const) {
    assert.throws(() => templates.text(template, data), { message });
  }
  assert.throws(() => templates.text('{{ routeLabels "loop" }}', data), /route label cycle detected: loop -> loop/);
});
