package guide

import configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"

// AppName is what an app is to be called, so that it is recognised in the org's lists.
const AppName = "Throughline"

func text(en, ja string) *configv1.GuideText { return &configv1.GuideText{En: en, Ja: ja} }

// Apps are the guides for both kinds of app, the one to prefer first. callback is the address to register, "" when this
// installation serves no pages.
func Apps(callback string) []*configv1.AppGuide {
	return []*configv1.AppGuide{external(callback), classic(callback)}
}

func external(callback string) *configv1.AppGuide {
	return &configv1.AppGuide{
		Kind: configv1.AppKind_APP_KIND_EXTERNAL_CLIENT_APP,
		About: text("external client app: what Salesforce has now; choose it for every new app",
			"外部クライアントアプリケーション: 現在の標準です。新しく作成する場合はこちらを選択してください"),
		Where:  text("Setup › External Client App Manager › New External Client App", "設定 › 外部クライアントアプリケーションマネージャー › 新規外部クライアントアプリケーション"),
		Fields: append(basics(text("External Client App Name", "外部クライアントアプリケーション名")), oauth(callback)...),
		After: append([]*configv1.GuideText{
			text("Reveal key and secret: External Client App Manager › the app › Settings › OAuth Settings › Consumer Key and Secret",
				"鍵と秘密の表示: 外部クライアントアプリケーションマネージャー › アプリケーション › 設定 › OAuth 設定 › コンシューマー鍵と秘密"),
			text("Set the policies: External Client App Manager › the app › Policies › Edit › OAuth Policies",
				"ポリシーの設定: 外部クライアントアプリケーションマネージャー › アプリケーション › ポリシー › 編集 › OAuth ポリシー"),
		}, policies()...),
	}
}

func classic(callback string) *configv1.AppGuide {
	return &configv1.AppGuide{
		Kind: configv1.AppKind_APP_KIND_CONNECTED_APP,
		About: text("classic connected app: since Spring '26 new ones cannot be made unless Salesforce allows it for the org; those that there are go on",
			"従来の接続アプリケーション: Spring '26 以降、Salesforce が組織に許可しない限り新規作成できません。既存のものは引き続き使用できます"),
		Where:  text("Setup › App Manager › New Connected App", "設定 › アプリケーションマネージャー › 新規接続アプリケーション"),
		Fields: append(basics(text("Connected App Name", "接続アプリケーション名")), oauth(callback)...),
		After: append([]*configv1.GuideText{
			text("Reveal key and secret: App Manager › the app › View › Manage Consumer Details",
				"鍵と秘密の表示: アプリケーションマネージャー › アプリケーション › 参照 › コンシューマーの詳細を管理"),
			text("Set the policies: Manage Connected Apps › the app › Edit Policies", "ポリシーの設定: 接続アプリケーションを管理する › アプリケーション › ポリシーを編集"),
		}, policies()...),
	}
}

// basics are the fields that tell what the app is. The contact is the administrator's own.
func basics(name *configv1.GuideText) []*configv1.GuideField {
	return []*configv1.GuideField{
		{Name: "name", Label: name, Values: []string{AppName}},
		{Name: "api_name", Label: text("API Name", "API 参照名"), Values: []string{AppName}},
		{
			Name: "contact_email", Label: text("Contact Email", "取引先責任者メール"),
			Note: text("an address of yours at which Salesforce reaches whoever looks after the app", "アプリケーション管理者に連絡できる自社のメールアドレス"),
		},
		{
			Name: "distribution", Label: text("Distribution State", "配布状態"), Values: []string{"Local"},
			Note: text("the app is for this org only; classic connected apps do not ask", "この組織でのみ使用します (ローカル)。従来の接続アプリケーションにはこの項目がありません"),
		},
	}
}

func oauth(callback string) []*configv1.GuideField {
	address := &configv1.GuideField{
		Name: "callback_url", Label: text("Callback URL", "コールバック URL"),
		Note: text("character by character; a slash more is another address", "一字一句そのまま入力してください。末尾のスラッシュの有無も区別されます"),
	}
	if callback != "" {
		address.Values = []string{callback}
	} else {
		address.Note = text("this installation serves no pages: set connect.public_url first", "このインストールではページが提供されていません。先に connect.public_url を設定してください")
	}
	return []*configv1.GuideField{
		{Name: "enable_oauth", Label: text("Enable OAuth (Settings)", "OAuth (設定) の有効化"), Values: []string{"true"}},
		address,
		{
			Name: "scopes", Label: text("Selected OAuth Scopes", "選択した OAuth 範囲"), Values: []string{"api", "refresh_token"},
			Note: text("“Manage user data via APIs (api)” and “Perform requests at any time (refresh_token, offline_access)”; no others are needed",
				"「API を使用してユーザーデータを管理 (api)」と「いつでも要求を実行 (refresh_token, offline_access)」。他は不要です"),
		},
		{
			Name: "pkce", Label: text("Require Proof Key for Code Exchange (PKCE) extension for Supported Authorization Flows",
				"サポートされる認証フローに Proof Key for Code Exchange (PKCE) 拡張を要求"), Values: []string{"true"},
			Note: text("on is safer; off works as well: leave the connection's PKCE on auto", "有効を推奨します。無効でも動作します。接続の PKCE は「自動」のままにしてください"),
		},
		{Name: "secret_web", Label: text("Require Secret for Web Server Flow", "Web サーバーフローの秘密が必要"), Values: []string{"true"}},
		{Name: "secret_refresh", Label: text("Require Secret for Refresh Token Flow", "更新トークンフローの秘密が必要"), Values: []string{"true"}},
		{
			Name: "rotation", Label: text("Enable Refresh Token Rotation", "更新トークンローテーションを有効化"), Values: []string{"true"},
			Note: text("recommended; off works as well", "推奨します。無効でも動作します"),
		},
	}
}

// policies are the three that must be so (LOOM-12).
func policies() []*configv1.GuideText {
	return []*configv1.GuideText{
		text("Permitted Users: All users may self-authorize", "許可されているユーザー: すべてのユーザーは自己承認できる"),
		text("Refresh Token Policy: Refresh token is valid until revoked", "更新トークンポリシー: 更新トークンは取り消されるまで有効"),
		text("IP Relaxation: Enforce IP restrictions, but relax for refresh tokens", "IP 制限の緩和: IP 制限を適用するが、更新トークンでは緩和"),
		text("New apps and changed ones may take 10 minutes to work", "新しいアプリケーションや変更が有効になるまで 10 分ほどかかることがあります"),
	}
}

// Addresses are where our networks are allowed.
func Addresses() *configv1.GuideText {
	return text("Setup › Profiles › the integration user's profile › Login IP Ranges › New; for the whole org: Setup › Network Access › New",
		"設定 › プロファイル › インテグレーションユーザーのプロファイル › ログイン IP アドレスの制限 › 新規。組織全体の場合: 設定 › ネットワークアクセス › 新規")
}
