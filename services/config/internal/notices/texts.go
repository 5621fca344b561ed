package notices

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/config/internal/connstate"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Languages of messages.
const (
	japanese = "ja"
	english  = "en"
)

// stateTexts says what a state means, where diagnosis has found nothing better.
func stateTexts(s configv1.ConnectionState) (en, ja string) {
	switch s {
	case configv1.ConnectionState_CONNECTION_STATE_REVOKED:
		return "Salesforce takes the authorisation no more: connect the org again", "Salesforce が認証を受け付けません。組織を再接続してください"
	case configv1.ConnectionState_CONNECTION_STATE_PACKAGE_MISSING:
		return "Throughline's package is not in the org: install it", "組織に Throughline パッケージがありません。インストールしてください"
	default:
		return "the org cannot be used fully: run the connection check", "組織を十分に利用できません。接続の診断を実行してください"
	}
}

// maxProblems is how many problems a text names.
const maxProblems = 5

func problemTexts(kind configv1.NoticeKind, problems []*configv1.IntegrationProblem) (en, ja string) {
	lead, leadJA := "it does not fit the org any more", "組織の項目と合わなくなりました"
	if kind == configv1.NoticeKind_NOTICE_KIND_REPORT_PUSH {
		lead, leadJA = "it cannot run any more", "実行できなくなりました"
	}
	var named []string
	for _, p := range problems[:min(len(problems), maxProblems)] {
		named = append(named, p.GetField()+": "+p.GetDescription())
	}
	list := strings.Join(named, "; ")
	if more := len(problems) - len(named); more > 0 {
		return fmt.Sprintf("%s: %s; and %d more", lead, list, more), fmt.Sprintf("%s: %s、ほか %d 件", leadJA, list, more)
	}
	return lead + ": " + list, leadJA + ": " + list
}

// failedTexts say why a run failed, in the words of its log.
func failedTexts(run store.ReportRun) (en, ja string) {
	why := run.Detail
	if reason := strings.TrimPrefix(streamv1.Reason(run.Reason).String(), "REASON_"); run.Reason != 0 && !strings.HasPrefix(why, reason) {
		why = reason + ": " + why
	}
	return fmt.Sprintf("its run of %s failed: %s", utc(run.StartedAt), why), fmt.Sprintf("%s の実行が失敗しました: %s", utc(run.StartedAt), why)
}

func missedTexts(run store.ReportRun) (en, ja string) {
	return fmt.Sprintf("its run of %s was missed: %s", utc(run.StartedAt), run.Detail),
		fmt.Sprintf("%s の実行が行われませんでした: %s", utc(run.StartedAt), run.Detail)
}

func noRowsTexts(run store.ReportRun) (en, ja string) {
	why := cmp.Or(run.Detail, "no rows")
	return fmt.Sprintf("its run of %s had %s: look whether the source still fills report %s", utc(run.StartedAt), why, run.ReportName),
		fmt.Sprintf("%s の実行は 0 行でした（%s）。ソースがレポート %s を出力しているか確認してください", utc(run.StartedAt), why, run.ReportName)
}

func matchRateTexts(run store.ReportRun, rate, usual float64) (en, ja string) {
	const percent = 100
	return fmt.Sprintf("only %.1f %% of the rows of its run of %s found their %s, and %.1f %% usually do: look at the report's key and at what changed in the org",
			percent*rate, utc(run.StartedAt), run.Object, percent*usual),
		fmt.Sprintf("%s の実行で %s が見つかった行は %.1f %% だけでした（通常は %.1f %%）。レポートのキーと組織の変更を確認してください",
			utc(run.StartedAt), run.Object, percent*rate, percent*usual)
}

func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// wording is a message's fixed texts in one language.
type wording struct {
	subject, subjectTest, intro, test, since, parked, more string
	connection, integration, push, until, end              string
	day                                                    string
}

var wordings = map[string]wording{
	english: {
		subject: "%s: %s needs you", subjectTest: "%s: test message",
		intro: "Something is in the way of Salesforce in workspace %s.",
		test:  "This is a test. You will be told here when something is in the way of Salesforce in workspace %s.",
		since: "Since %s.", parked: "%d writes wait.", more: "1,000 or more writes wait.",
		connection: "Connection %s: %s (%s)", integration: "Integration %s: %s", push: "Report push %s: %s",
		until: "The oldest is given up on %s.",
		end:   "You are told of the same once a day at most. `throughline notices quiet` ends that for a while.",
		day:   "2006-01-02 15:04 MST",
	},
	japanese: {
		subject: "%s: %s に対応が必要です", subjectTest: "%s: テストメッセージ",
		intro: "ワークスペース %s の Salesforce 連携に支障があります。",
		test:  "これはテストです。ワークスペース %s の Salesforce 連携に支障があるとき、ここにお知らせします。",
		since: "%s から続いています。", parked: "%d 件の書き込みが待機中です。", more: "1,000 件以上の書き込みが待機中です。",
		connection: "接続 %s: %s（%s）", integration: "連携 %s: %s", push: "レポート連携 %s: %s",
		until: "最も古いものは %s に破棄されます。",
		end:   "同じ内容のお知らせは 1 日 1 回までです。`throughline notices quiet` でしばらく止められます。",
		day:   "2006年1月2日 15:04 MST",
	},
}

// message is what a recipient reads.
type message struct {
	subject, text string
	notices       []*configv1.Notice
}

// about is whose notices a message tells of, and where they are looked at.
type about struct {
	workspace, name, language, consoleURL string
}

// compose writes the message about notices, or the test message about none.
func compose(a about, notices []*configv1.Notice) message {
	w, ok := wordings[a.language]
	if !ok {
		w = wordings[english]
	}
	if len(notices) == 0 {
		return message{subject: fmt.Sprintf(w.subjectTest, "Throughline"), text: fmt.Sprintf(w.test, a.name) + "\n"}
	}
	var b strings.Builder
	fmt.Fprintf(&b, w.intro+"\n", a.name)
	for _, n := range notices {
		b.WriteString("\n• " + line(w, a.language, n) + "\n  " + fmt.Sprintf(w.since, n.GetBeganAt().AsTime().Format(w.day)))
		if n.GetParked() > 0 {
			b.WriteString(" " + parkedText(w, n))
		}
		b.WriteString("\n")
	}
	if a.consoleURL != "" {
		b.WriteString("\n" + a.consoleURL + "\n")
	}
	b.WriteString("\n" + w.end + "\n")
	return message{subject: fmt.Sprintf(w.subject, "Throughline", subject(notices[0])), text: b.String(), notices: notices}
}

func subject(n *configv1.Notice) string {
	return cmp.Or(n.GetIntegration(), n.GetReportPush(), n.GetConnection())
}

func line(w wording, language string, n *configv1.Notice) string {
	text := n.GetTextEn()
	if language == japanese {
		text = n.GetTextJa()
	}
	switch n.GetKind() {
	case configv1.NoticeKind_NOTICE_KIND_INTEGRATION:
		return fmt.Sprintf(w.integration, n.GetIntegration(), text)
	case configv1.NoticeKind_NOTICE_KIND_REPORT_PUSH, configv1.NoticeKind_NOTICE_KIND_REPORT_RUN:
		return fmt.Sprintf(w.push, n.GetReportPush(), text)
	}
	state := connstate.Name(n.GetState())
	if reason := strings.TrimPrefix(n.GetReason().String(), "REASON_"); n.GetReason() != 0 {
		state += ", " + reason
	}
	return fmt.Sprintf(w.connection, n.GetConnection(), text, state)
}

func parkedText(w wording, n *configv1.Notice) string {
	text := w.more
	if n.GetParked() < MaxParked {
		text = fmt.Sprintf(w.parked, n.GetParked())
	}
	if n.GetParkedUntil() != nil {
		text += " " + fmt.Sprintf(w.until, n.GetParkedUntil().AsTime().Format(w.day))
	}
	return text
}

// instant is a time as webhooks get it.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }
