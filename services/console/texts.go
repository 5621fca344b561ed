package console

import (
	"html/template"
	"net/http"
	"strings"
	"time"

	"golang.org/x/text/language"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// texts is the console in one language.
type texts struct {
	tag    string
	labels map[string]string
}

var matcher = language.NewMatcher([]language.Tag{language.English, language.Japanese})

// textsFor picks the language a browser asks for; English when it asks for neither.
func textsFor(r *http.Request) texts {
	tag, _ := language.MatchStrings(matcher, r.URL.Query().Get("lang"), r.Header.Get("Accept-Language"))
	if base, _ := tag.Base(); base.String() == "ja" {
		return texts{"ja", japanese}
	}
	return texts{"en", english}
}

func (t texts) funcs() template.FuncMap {
	return template.FuncMap{
		"t":      func(key string) string { return t.labels[key] },
		"lang":   func() string { return t.tag },
		"status": statusName,
		"reason": func(r streamv1.Reason) string { return strings.TrimPrefix(r.String(), "REASON_") },
		"clock":  func(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") },
	}
}

var english = map[string]string{
	"title": "Throughline", "workspaces": "Workspaces", "workspace": "Workspace", "event": "Event id", "find": "Find",
	"written": "Written", "skipped": "Skipped", "parked": "Parked", "failed": "Failed", "rejected": "Rejected",
	"connections": "Connections", "integrations": "Integrations", "org": "Org", "edition": "Edition", "version": "Version",
	"enabled": "On", "disabled": "Off", "outcomes": "What became of events", "stage": "Stage", "status": "Status",
	"reason": "Reason", "count": "Count", "troubles": "Newest failures", "none": "None.", "when": "When", "after": "After",
	"what": "What", "where": "Where", "journey": "The way of one event", "unknown": "Nothing is known of this event.",
	"runLogAway":  "The run log does not answer: what is in Kafka is shown, outcomes are not.",
	"unknownHint": "Events whose id is not a UUIDv7 are found by: throughline trace --since TIME ID",
	"signin":      "Please sign in", "signinHint": "Open the link that throughline printed when it started, or add ?token=… to the address.",
	"error": "That did not work", "errorHint": "The service that knows could not be asked. Its log says why; try again.",
	"sandbox": "Sandbox", "production": "Production", "back": "All workspaces", "name": "Name", "language": "Language",
}

var japanese = map[string]string{
	"title": "Throughline", "workspaces": "ワークスペース", "workspace": "ワークスペース", "event": "イベントID", "find": "検索",
	"written": "書き込み済み", "skipped": "対象外", "parked": "保留中", "failed": "失敗", "rejected": "受付拒否",
	"connections": "接続", "integrations": "連携設定", "org": "組織", "edition": "エディション", "version": "バージョン",
	"enabled": "有効", "disabled": "無効", "outcomes": "イベントの処理結果", "stage": "段階", "status": "状態",
	"reason": "理由", "count": "件数", "troubles": "最近の失敗", "none": "ありません。", "when": "日時", "after": "経過",
	"what": "内容", "where": "場所", "journey": "イベントの経路", "unknown": "このイベントの記録はありません。",
	"runLogAway":  "実行ログが応答しません。Kafka にある内容だけを表示し、結果は表示していません。",
	"unknownHint": "IDがUUIDv7でないイベントは throughline trace --since 日時 ID で検索できます。",
	"signin":      "サインインしてください", "signinHint": "throughline の起動時に表示されたリンクを開くか、アドレスに ?token=… を付けてください。",
	"error": "表示できませんでした", "errorHint": "問い合わせ先のサービスに接続できません。ログを確認のうえ、もう一度お試しください。",
	"sandbox": "Sandbox", "production": "本番", "back": "ワークスペース一覧", "name": "名前", "language": "言語",
}
