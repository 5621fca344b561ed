package connectweb

import (
	"strings"

	"github.com/throughline-dev/throughline/services/config/internal/consent"
)

// texts is what pages say in one language.
type texts struct {
	InviteTitle, InviteText, Workspace, Connection, AskedBy, LoginAt, GoOn, Leaving             string
	ConfirmTitle, ConfirmText, Org, OrgID, Edition, Environment, Sandbox, Production, Instance  string
	User, WantedUser, Scopes, Yes, No, Done, DoneText, Waits, WaitsText, Check, Failed, Unknown string
	OrgName, Open, Well, Blocked, Unchecked                                                     string
	// problems are by code.
	problems map[string]string
}

var english = texts{
	InviteTitle: "Connect Salesforce", InviteText: "You are asked to let Throughline into your Salesforce org. You log in at Salesforce; your password is never seen here.",
	Workspace: "Workspace", Connection: "Connection", AskedBy: "Asked by", LoginAt: "You log in at", GoOn: "Continue to Salesforce", Leaving: "On to Salesforce …",
	ConfirmTitle: "Is this the right org?", ConfirmText: "You have authorised Throughline for this org. Nothing is kept until you confirm it.",
	Org: "Org", OrgID: "Org id", Edition: "Edition", Environment: "Environment", Sandbox: "Sandbox", Production: "Production", Instance: "Address",
	User: "Salesforce user", WantedUser: "Expected address", Scopes: "Granted", Yes: "Yes, connect it", No: "No, forget it",
	Done: "Connected", DoneText: "You may close this page. Whoever asked for it sees that the org is connected.", Waits: "Not connected yet",
	OrgName: "Name", Open: "To be looked at in Salesforce", Well: "fine", Blocked: "to be changed", Unchecked: "cannot be checked from here; please look yourself",
	WaitsText: "This is another org than the one that was connected before. An administrator of the workspace must accept that.",
	Check:     "What was checked and is fine", Failed: "Not connected", Unknown: "Salesforce refused the login. Nothing was changed.",
	problems: map[string]string{
		consent.CodeLinkUnknown:  "This link is not valid. Nothing was changed.",
		consent.CodeLinkUsed:     "This link was used already; it works once. Ask for a new one.",
		consent.CodeLinkExpired:  "The time of this link is over. Ask for a new one.",
		consent.CodeCancelled:    "This link was withdrawn. Ask for a new one.",
		consent.CodeStateUnknown: "This login is not known, or it was finished already. Begin again.",
		consent.CodeOtherBrowser: "Finish the login in the browser in which you began it.",
		consent.CodeNotInTime:    "The login took too long. Begin again.",
		consent.CodeMissingScope: "The app in Salesforce does not grant “Manage user data via APIs (api)”. Add it to the app's OAuth scopes and begin again.",
		consent.CodeNoOffline:    "The app in Salesforce does not grant “Perform requests at any time (refresh_token, offline_access)”. Add it to the app's OAuth scopes and begin again.",
		consent.CodeEnvironment:  "A sandbox was meant and this is a production org, or the other way round. Log in to the other one, or change the environment.",
		consent.CodeEmail:        "The address of the Salesforce user is not the one that was expected. Both must be the same.",
		consent.CodePKCERequired: "The app in Salesforce requires PKCE. Switch PKCE on here, or off in the app.",
		consent.CodeOrgUnknown:   "Salesforce did not say which org this is. Log in again.",
		consent.CodeNotConfirmed: "What was authorised is forgotten and revoked. Nothing was changed.",
		"access_denied":          "You did not allow access. Nothing was changed.",
		"invalid_grant":          "Salesforce takes the login's code no more. Begin again.",
		"invalid_client":         "Salesforce does not accept the consumer key or secret. Check them in the app and here. A new app needs up to 10 minutes.",
		"invalid_client_id":      "Salesforce does not know the consumer key. Check it in the app and here. A new app needs up to 10 minutes.",
		"redirect_uri_mismatch":  "The callback address is not registered with the app, character by character.",
		"app_blocked":            "The org's administrator has blocked the app. Setup › Connected Apps OAuth Usage › Unblock.",
		"invalid_app_access":     "The app admits only users whom an administrator has approved. Setup › Manage Connected Apps › Edit Policies › Permitted Users; then add your profile and begin again.",
	},
}

var japanese = texts{
	InviteTitle: "Salesforce を接続する", InviteText: "お使いの Salesforce 組織へのアクセスを Throughline に許可する依頼です。ログインは Salesforce で行われ、パスワードがここに渡ることはありません。",
	Workspace: "ワークスペース", Connection: "接続", AskedBy: "依頼者", LoginAt: "ログイン先", GoOn: "Salesforce へ進む", Leaving: "Salesforce へ移動しています…",
	ConfirmTitle: "この組織でよろしいですか?", ConfirmText: "この組織へのアクセスが許可されました。確認されるまで何も保存されません。",
	Org: "組織", OrgID: "組織 ID", Edition: "エディション", Environment: "環境", Sandbox: "Sandbox", Production: "本番", Instance: "アドレス",
	User: "Salesforce ユーザー", WantedUser: "指定されたアドレス", Scopes: "許可された範囲", Yes: "はい、接続する", No: "いいえ、破棄する",
	Done: "接続しました", DoneText: "このページは閉じてかまいません。依頼者には接続が完了したことが表示されます。", Waits: "まだ接続されていません",
	OrgName: "名前", Open: "Salesforce で確認が必要な項目", Well: "問題なし", Blocked: "変更が必要です", Unchecked: "こちらからは確認できません。ご自身でご確認ください",
	WaitsText: "以前に接続されていた組織とは別の組織です。ワークスペースの管理者の承認が必要です。",
	Check:     "確認済みの項目", Failed: "接続されていません", Unknown: "Salesforce がログインを拒否しました。何も変更されていません。",
	problems: map[string]string{
		consent.CodeLinkUnknown:  "このリンクは無効です。何も変更されていません。",
		consent.CodeLinkUsed:     "このリンクは使用済みです。リンクは一度だけ有効です。新しいリンクを依頼してください。",
		consent.CodeLinkExpired:  "このリンクの有効期限が切れました。新しいリンクを依頼してください。",
		consent.CodeCancelled:    "このリンクは取り消されました。新しいリンクを依頼してください。",
		consent.CodeStateUnknown: "このログインは不明か、すでに完了しています。最初からやり直してください。",
		consent.CodeOtherBrowser: "ログインを始めたブラウザで続けてください。",
		consent.CodeNotInTime:    "ログインに時間がかかりすぎました。最初からやり直してください。",
		consent.CodeMissingScope: "Salesforce のアプリに「API を使用してユーザーデータを管理 (api)」がありません。アプリの OAuth 範囲に追加してやり直してください。",
		consent.CodeNoOffline:    "Salesforce のアプリに「いつでも要求を実行 (refresh_token, offline_access)」がありません。アプリの OAuth 範囲に追加してやり直してください。",
		consent.CodeEnvironment:  "Sandbox と本番が一致しません。もう一方にログインするか、環境の設定を変更してください。",
		consent.CodeEmail:        "Salesforce ユーザーのアドレスが指定されたものと異なります。同じでなければなりません。",
		consent.CodePKCERequired: "Salesforce のアプリは PKCE を必須としています。こちらで PKCE を有効にするか、アプリで無効にしてください。",
		consent.CodeOrgUnknown:   "どの組織かを確認できませんでした。もう一度ログインしてください。",
		consent.CodeNotConfirmed: "許可は破棄され、取り消されました。何も変更されていません。",
		"access_denied":          "アクセスが許可されませんでした。何も変更されていません。",
		"invalid_grant":          "ログインのコードが無効になりました。最初からやり直してください。",
		"invalid_client":         "コンシューマ鍵またはコンシューマの秘密が受け付けられませんでした。アプリと設定を確認してください。新しいアプリは有効になるまで最大 10 分かかります。",
		"invalid_client_id":      "コンシューマ鍵が不明です。アプリと設定を確認してください。新しいアプリは有効になるまで最大 10 分かかります。",
		"redirect_uri_mismatch":  "コールバック URL がアプリに登録されたものと一字一句一致していません。",
		"app_blocked":            "組織の管理者がアプリをブロックしています。設定 › 接続アプリケーションの OAuth の利用状況 › ブロック解除。",
		"invalid_app_access":     "管理者が承認したユーザーだけがアプリを使えます。設定 › 接続アプリケーションを管理する › ポリシーを編集 › 許可されているユーザー。プロファイルを追加してやり直してください。",
	},
}

// problem is what a page says for a code.
func (t texts) problem(code string) string {
	if text, ok := t.problems[code]; ok {
		return text
	}
	return t.Unknown
}

// languageOf reads the browser's wish: Japanese if it comes before English.
func languageOf(header string) (string, texts) {
	for _, tag := range strings.Split(strings.ToLower(header), ",") {
		switch tag = strings.TrimSpace(tag); {
		case strings.HasPrefix(tag, "ja"):
			return "ja", japanese
		case strings.HasPrefix(tag, "en"):
			return "en", english
		}
	}
	return "en", english
}
