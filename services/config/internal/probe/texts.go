package probe

import configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"

// textKey names what people read of a finding.
type textKey int

// The findings.
const (
	textUnchecked textKey = iota
	textAuthorised
	textRevoked
	textNoToken
	textInactiveUser
	textKeys
	textApproval
	textAppBlocked
	textIP
	textAPI
	textAPIDisabled
	textVersion
	textVersionGone
	textEdition
	textEditionUnsupported
	textEnvironment
	textEnvironmentMismatch
	textFullAccess
	textNoFullAccess
	textAddress
	textAddressChanged
	textObjectFine
	textObject
	textCreate
	textEdit
	textFields
	textSearchable
	textEncrypted
	textPackage
	textPackageNotNeeded
	textPackageMissing
	textPackageOld
	textPackageTooOld
	textPackagePermission
	textViewers
	textNoViewers
	textNoOrdinaryUsers
	textLayouts
	textLayoutsLack
	textPolicyUnknown
	textPolicyUsers
	textPolicyTokens
	textPolicyIP
	textEnd
)

// wording is a finding in both languages, with the place in Salesforce's Setup. Places are named as Setup names them in each
// language. Source: Salesforce Help, ja and en.
type wording struct{ en, enWhere, ja, jaWhere string }

var wordings = [textEnd]wording{
	textUnchecked:  {"could not check", "", "確認できませんでした", ""},
	textAuthorised: {"Salesforce gives us tokens", "", "Salesforce からトークンを取得できます", ""},
	textRevoked: {
		"the authorisation was revoked or has ended, perhaps because the app's policies were changed; connect the org again",
		"Setup › Connected Apps OAuth Usage",
		"認証が取り消されたか、期限が切れました。アプリのポリシーが変更された可能性もあります。組織を再接続してください", "設定 › 接続アプリケーションの OAuth の利用状況",
	},
	textNoToken: {
		"nobody has authorised this connection, or it was disconnected; connect the org", "",
		"この接続はまだ認証されていないか、切断されています。組織を接続してください", "",
	},
	textInactiveUser: {
		"the connected user is inactive or frozen", "Setup › Users › Users › Active",
		"接続ユーザーが無効か、凍結されています", "設定 › ユーザー › ユーザー › 有効",
	},
	textKeys: {
		"the consumer key or secret is not accepted", "Setup › App Manager › View › Manage Consumer Details",
		"コンシューマ鍵またはコンシューマの秘密が受け付けられません", "設定 › アプリケーションマネージャー › 参照 › コンシューマの詳細を管理",
	},
	textApproval: {
		"the app admits only users whom an administrator has approved: add the user's profile, then disconnect and connect again",
		"Setup › Manage Connected Apps › Edit Policies › Permitted Users; then Manage Profiles",
		"管理者が承認したユーザーだけがアプリを使えます。ユーザーのプロファイルを追加し、切断して再接続してください",
		"設定 › 接続アプリケーションを管理する › ポリシーを編集 › 許可されているユーザー、続いてプロファイルを管理する",
	},
	textAppBlocked: {
		"the org admits only apps that its administrator has installed, or has blocked this one: install it, and open its policies",
		"Setup › Connected Apps OAuth Usage › Install (or Unblock) › Manage App Policies",
		"組織は管理者がインストールしたアプリだけを許可しているか、このアプリをブロックしています。インストールしてポリシーを開いてください",
		"設定 › 接続アプリケーションの OAuth の利用状況 › インストール (またはブロック解除) › アプリケーションポリシーの管理",
	},
	textIP: {
		"the user may not log in from our addresses: lift the restriction, or allow our addresses",
		"Setup › Profiles › Login IP Ranges; Setup › Manage Connected Apps › Edit Policies › IP Relaxation",
		"ユーザーは当社のアドレスからログインできません。制限を緩和するか、当社のアドレスを許可してください",
		"設定 › プロファイル › ログイン IP アドレスの制限、または 設定 › 接続アプリケーションを管理する › ポリシーを編集 › IP 制限の緩和",
	},
	textAPI: {"the API answers", "", "API が応答します", ""},
	textAPIDisabled: {
		"the API is off: the edition lacks the API add-on (Web Services API), or the user's profile lacks “API Enabled”",
		"Setup › Company Information; Setup › Profiles › Administrative Permissions › API Enabled",
		"API が無効です。エディションに API アドオン (Web サービス API) がないか、プロファイルに「API の有効化」がありません",
		"設定 › 組織情報、または 設定 › プロファイル › システム管理者権限 › API の有効化",
	},
	textVersion: {"the org speaks our version of the API", "", "組織は当社の API バージョンに対応しています", ""},
	textVersionGone: {
		"the org does not speak this version of the API; set another api_version for the connection", "",
		"組織はこの API バージョンに対応していません。接続の api_version を変更してください", "",
	},
	textEdition: {"the edition is supported", "", "対応しているエディションです", ""},
	textEditionUnsupported: {
		"the org's edition is not supported", "Setup › Company Information › Organization Edition",
		"組織のエディションには対応していません", "設定 › 組織情報 › 組織のエディション",
	},
	textEnvironment: {"the environment is the one that was meant", "", "環境は設定どおりです", ""},
	textEnvironmentMismatch: {
		"a sandbox was meant and this is production, or the other way round; connect the right org", "",
		"Sandbox と本番が設定と一致しません。正しい組織を接続してください", "",
	},
	textFullAccess: {"the user may modify all data", "", "ユーザーには「すべてのデータの編集」があります", ""},
	textNoFullAccess: {
		"the user lacks “Modify All Data”", "Setup › Permission Sets (or Profiles) › System Permissions › Modify All Data",
		"ユーザーに「すべてのデータの編集」がありません", "設定 › 権限セット (またはプロファイル) › システム権限 › すべてのデータの編集",
	},
	textAddress: {"the user has the address of the phone account's administrator", "", "ユーザーのアドレスは電話アカウントの管理者と同じです", ""},
	textAddressChanged: {
		"the user's address is no longer the one that the org was connected with; calls go on being logged", "Setup › Users › Users › Email",
		"ユーザーのアドレスが接続時と異なります。通話の記録は続きます", "設定 › ユーザー › ユーザー › メール",
	},
	textObjectFine: {"object and fields are open to the user", "", "オブジェクトと項目を利用できます", ""},
	textObject: {
		"the user cannot see the object, or there is none", "Setup › Permission Sets (or Profiles) › Object Settings › Read",
		"ユーザーがオブジェクトを参照できないか、オブジェクトがありません", "設定 › 権限セット (またはプロファイル) › オブジェクトの設定 › 参照",
	},
	textCreate: {
		"the user may not create records of the object",
		"Setup › Permission Sets (or Profiles) › Object Settings › Create; for tasks: System Permissions › Edit Tasks",
		"ユーザーはこのオブジェクトのレコードを作成できません",
		"設定 › 権限セット (またはプロファイル) › オブジェクトの設定 › 作成。ToDo の場合: システム権限 › ToDo の編集",
	},
	textEdit: {
		"the user may not edit records of the object", "Setup › Permission Sets (or Profiles) › Object Settings › Edit",
		"ユーザーはこのオブジェクトのレコードを編集できません", "設定 › 権限セット (またはプロファイル) › オブジェクトの設定 › 編集",
	},
	textFields: {
		"the user cannot see or write these fields, or they are gone", "Setup › Object Manager › Fields & Relationships › Set Field-Level Security",
		"ユーザーがこれらの項目を参照または編集できないか、項目がありません", "設定 › オブジェクトマネージャー › 項目とリレーション › 項目レベルセキュリティの設定",
	},
	textSearchable: {"people can be found by their address", "", "アドレスで人物を検索できます", ""},
	textEncrypted: {
		"the field is encrypted probabilistically and cannot be searched: encrypt it deterministically",
		"Setup › Platform Encryption › Encryption Policy › Encrypt Fields › Encryption Scheme",
		"項目が確率的暗号化のため検索できません。確定的暗号化に変更してください",
		"設定 › プラットフォームの暗号化 › 暗号化ポリシー › 項目を暗号化 › 暗号化スキーム",
	},
	textPackage:          {"the package is installed", "", "パッケージがインストールされています", ""},
	textPackageNotNeeded: {"no package is needed", "", "パッケージは不要です", ""},
	textPackageMissing: {
		"the package is not installed, or not for this user", "Setup › Installed Packages",
		"パッケージがインストールされていないか、このユーザーが対象外です", "設定 › インストール済みパッケージ",
	},
	textPackageOld: {
		"the package is an older one, or these fields are hidden from the user: what needs them is not available", "Setup › Installed Packages › Upgrade",
		"パッケージが古いか、ユーザーに項目が表示されていません。これらの項目を使う機能は利用できません", "設定 › インストール済みパッケージ › アップグレード",
	},
	textPackagePermission: {
		"the user lacks the permission set “Engagement Integration”", "Setup › Permission Sets › Engagement Integration › Manage Assignments",
		"ユーザーに権限セット「Engagement Integration」がありません", "設定 › 権限セット › Engagement Integration › 割り当ての管理",
	},
	textPackageTooOld: {
		"the package is older than the version that this connection needs: upgrade it", "Setup › Installed Packages › Upgrade",
		"パッケージのバージョンがこの接続に必要なものより古いため、アップグレードしてください", "設定 › インストール済みパッケージ › アップグレード",
	},
	textViewers: {"ordinary users can see the data", "", "一般ユーザーがデータを参照できます", ""},
	textNoViewers: {
		"only administrators can see the data: assign the permission set “Engagement Viewer” to those who should",
		"Setup › Permission Sets › Engagement Viewer › Manage Assignments › Add Assignments",
		"システム管理者だけがデータを参照できます。参照するユーザーに権限セット「Engagement Viewer」を割り当ててください",
		"設定 › 権限セット › Engagement Viewer › 割り当ての管理 › 割り当てを追加",
	},
	textNoOrdinaryUsers: {"the org has no users besides administrators", "", "組織にはシステム管理者以外のユーザーがいません", ""},
	textLayouts:         {"the layouts in use show the related list “Videos”", "", "使用中のページレイアウトに関連リスト「動画」があります", ""},
	textLayoutsLack: {
		"these layouts do not show the related list “Videos”: add it where it is wanted",
		"Setup › Object Manager › Contact (or Lead) › Page Layouts › Related Lists",
		"これらのページレイアウトに関連リスト「動画」がありません。必要なレイアウトに追加してください",
		"設定 › オブジェクトマネージャー › 取引先責任者 (またはリード) › ページレイアウト › 関連リスト",
	},
	textPolicyUnknown: {"not observed yet", "", "まだ確認されていません", ""},
	textPolicyUsers: {
		"policy: all users may authorise themselves", "Setup › Manage Connected Apps › Edit Policies › Permitted Users",
		"ポリシー: すべてのユーザーが自己認証できます", "設定 › 接続アプリケーションを管理する › ポリシーを編集 › 許可されているユーザー",
	},
	textPolicyTokens: {
		"policy: the refresh token is valid until revoked", "Setup › Manage Connected Apps › Edit Policies › Refresh Token Policy",
		"ポリシー: 更新トークンは取り消されるまで有効です", "設定 › 接続アプリケーションを管理する › ポリシーを編集 › 更新トークンポリシー",
	},
	textPolicyIP: {
		"policy: IP restrictions are relaxed for refresh tokens", "Setup › Manage Connected Apps › Edit Policies › IP Relaxation",
		"ポリシー: 更新トークンの IP 制限は緩和されます", "設定 › 接続アプリケーションを管理する › ポリシーを編集 › IP 制限の緩和",
	},
}

func (k textKey) texts() (en, ja *configv1.ProbeText) {
	w := wordings[k]
	return &configv1.ProbeText{Finding: w.en, Where: w.enWhere}, &configv1.ProbeText{Finding: w.ja, Where: w.jaWhere}
}
