package web

import "strings"

// labels are the texts of the pages, English and Japanese.
var labels = map[string][2]string{
	"orgs":           {"Simulated Salesforce orgs", "シミュレートされた Salesforce 組織"},
	"org":            {"Org", "組織"},
	"edition":        {"Edition", "エディション"},
	"language":       {"Language", "言語"},
	"timezone":       {"Time zone", "タイムゾーン"},
	"calls":          {"API calls, 24 h", "API コール (24 時間)"},
	"login":          {"Login address", "ログイン URL"},
	"package":        {"Throughline package", "Throughline パッケージ"},
	"installed":      {"installed", "インストール済み"},
	"notInstalled":   {"not installed", "未インストール"},
	"objects":        {"Objects", "オブジェクト"},
	"object":         {"Object", "オブジェクト"},
	"records":        {"Records", "レコード"},
	"latest":         {"Latest changes", "最近の更新"},
	"name":           {"Name", "名前"},
	"changed":        {"Changed", "更新日時"},
	"details":        {"Details", "詳細"},
	"media":          {"Videos & documents", "動画・ドキュメント"},
	"title":          {"Title", "タイトル"},
	"viewer":         {"Viewer", "閲覧者"},
	"lastViewed":     {"Last viewed", "最終視聴"},
	"views":          {"Views", "視聴回数"},
	"watched":        {"Watched", "視聴率"},
	"dwell":          {"Time spent", "滞在時間"},
	"cta":            {"CTA clicks", "CTA クリック"},
	"identity":       {"Identified by", "本人確認"},
	"activity":       {"Activity", "活動"},
	"due":            {"Due", "期日"},
	"owner":          {"Assigned to", "任命先"},
	"about":          {"About", "対象"},
	"campaigns":      {"Campaigns", "キャンペーン"},
	"status":         {"Status", "状況"},
	"contacts":       {"Contacts", "取引先責任者"},
	"email":          {"Email", "メール"},
	"none":           {"Nothing yet", "まだありません"},
	"search":         {"Search by name or email", "名前またはメールで検索"},
	"find":           {"Search", "検索"},
	"newer":          {"Newer", "新しい順へ"},
	"older":          {"Older", "古い順へ"},
	"deleted":        {"This record is in the recycle bin.", "このレコードはごみ箱にあります。"},
	"mergedInto":     {"Merged into", "マージ先"},
	"notFound":       {"There is nothing here.", "ページが見つかりません。"},
	"simulated":      {"Simulated org for development", "開発用シミュレーション組織"},
	"overdue":        {"open", "未完了"},
	"done":           {"done", "完了"},
	"recentCalls":    {"Latest API calls", "最近の API コール"},
	"time":           {"Time", "時刻"},
	"request":        {"Request", "リクエスト"},
	"answer":         {"Answer", "レスポンス"},
	"took":           {"Took", "所要時間"},
	"relatedSkipped": {"more not shown", "件は省略"},
}

// translator gives texts in one language.
type translator struct{ language string }

// T returns the text for a key.
func (t translator) T(key string) string {
	both, ok := labels[key]
	if !ok {
		return key
	}
	if t.Japanese() {
		return both[1]
	}
	return both[0]
}

// Japanese reports whether the language is Japanese.
func (t translator) Japanese() bool { return strings.HasPrefix(t.language, "ja") }

// Lang returns the language tag of the page.
func (t translator) Lang() string {
	if t.Japanese() {
		return "ja"
	}
	return "en"
}
