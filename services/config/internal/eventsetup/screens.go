package eventsetup

import (
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

const (
	screenExport        = configv1.EventScreen_EVENT_SCREEN_EXPORT
	screenCode          = configv1.EventScreen_EVENT_SCREEN_IMPORT_CODE
	screenRegistrations = configv1.EventScreen_EVENT_SCREEN_IMPORT_REGISTRATIONS
	screenFinish        = configv1.EventScreen_EVENT_SCREEN_FINISH
)

// Problem is one thing missing or wrong.
type Problem struct {
	// Screen is where it is to be mended.
	Screen configv1.EventScreen
	// Field is the path within the set-up.
	Field string
	// Description says what is wrong and what would be right.
	Description string
}

// screens are in the order in which people go through them (HOPIN-4).
var screens = []struct {
	screen  configv1.EventScreen
	purpose *configv1.EventText
}{
	{screenExport, &configv1.EventText{
		Ja: "イベントに登録があるたびに、選んだオブジェクトのレコードを Salesforce に作成します。",
		En: "For each registration for an event, a record of the object you choose is made in Salesforce.",
	}},
	{screenCode, &configv1.EventText{
		Ja: "どのチケットへの登録かを示す連携コードが、Salesforce のどのオブジェクトのどの項目にあるかを選びます。",
		En: "Choose the object and field in Salesforce that hold the integration code, which says for which ticket somebody is registered.",
	}},
	{screenRegistrations, &configv1.EventText{
		Ja: "登録のオブジェクトとその項目を選ぶと、そのレコードごとに招待が作られ、招待リンクと出欠をレコードに書き戻せます。",
		En: "Choose the registration object and its fields: each of its records becomes an invitation, and can take the link and the attendance back.",
	}},
	{screenFinish, &configv1.EventText{
		Ja: "設定を接続先の組織で確認し、埋めた画面のフローだけを有効にします。",
		En: "Everything is checked against the org, and the flows whose screens you filled in are switched on.",
	}},
}

// Reports tells of every screen, in their order.
func Reports(s *configv1.EventSetup, problems []Problem) []*configv1.EventScreenReport {
	filled := map[configv1.EventScreen]bool{
		screenExport:        exports(s) || attends(s.GetExportedAttendance()),
		screenCode:          codes(s),
		screenRegistrations: registers(s) || s.GetMagicLinkField() != "" || attends(s.GetImportedAttendance()),
		screenFinish:        !Empty(s),
	}
	out := make([]*configv1.EventScreenReport, len(screens))
	for n, screen := range screens {
		out[n] = &configv1.EventScreenReport{
			Screen: screen.screen, Purpose: screen.purpose, State: configv1.EventScreenState_EVENT_SCREEN_STATE_OFF,
		}
		if filled[screen.screen] {
			out[n].State = configv1.EventScreenState_EVENT_SCREEN_STATE_ON
		}
		for _, p := range problems {
			if p.Screen == screen.screen {
				out[n].Problems = append(out[n].Problems, &configv1.EventProblem{Field: p.Field, Description: p.Description})
			}
		}
		if len(out[n].GetProblems()) > 0 || screen.screen == screenFinish && len(problems) > 0 {
			out[n].State = configv1.EventScreenState_EVENT_SCREEN_STATE_INCOMPLETE
		}
	}
	return out
}

// On returns the flows that are on in a set-up without problems, in their order (HOPIN-5).
func On(s *configv1.EventSetup) []configv1.EventFlow {
	var on []configv1.EventFlow
	if exports(s) {
		on = append(on, configv1.EventFlow_EVENT_FLOW_EXPORT)
	}
	if imports(s) {
		on = append(on, configv1.EventFlow_EVENT_FLOW_IMPORT)
	}
	if s.GetMagicLinkField() != "" {
		on = append(on, configv1.EventFlow_EVENT_FLOW_MAGIC_LINKS)
	}
	if attends(s.GetImportedAttendance()) || attends(s.GetExportedAttendance()) {
		on = append(on, configv1.EventFlow_EVENT_FLOW_ATTENDANCE)
	}
	return on
}

// Empty reports whether every flow is off.
func Empty(s *configv1.EventSetup) bool { return len(On(s)) == 0 }

// Notices are what an administrator should know and need not mend.
func Notices(s *configv1.EventSetup) []*configv1.EventText {
	var out []*configv1.EventText
	if Empty(s) {
		out = append(out, &configv1.EventText{
			Ja: "接続されました。やり取りされるものはありません。", En: "Connected, nothing will be exchanged.",
		})
	}
	if ja, en := idle(s); len(en) > 0 {
		out = append(out, &configv1.EventText{
			Ja: "次のフローは保存されますが、実行するサービスがまだないため、何もやり取りされません: " + strings.Join(ja, "、"),
			En: "Saved, but no service acts upon it yet, so nothing is exchanged by it: " + strings.Join(en, ", "),
		})
	}
	return out
}

// idle names the flows that are on and that no service runs yet, in Japanese and in English.
func idle(s *configv1.EventSetup) (ja, en []string) {
	for _, flow := range On(s) {
		if name, ok := idleFlows[flow]; ok {
			ja, en = append(ja, name.GetJa()), append(en, name.GetEn())
		}
	}
	return ja, en
}

var idleFlows = map[configv1.EventFlow]*configv1.EventText{
	configv1.EventFlow_EVENT_FLOW_IMPORT:      {Ja: "登録の取り込み", En: "import of registrations"},
	configv1.EventFlow_EVENT_FLOW_MAGIC_LINKS: {Ja: "招待リンク", En: "magic links"},
	configv1.EventFlow_EVENT_FLOW_ATTENDANCE:  {Ja: "出欠", En: "attendance"},
}

func exports(s *configv1.EventSetup) bool {
	e := s.GetExport()
	return e.GetObject() != "" || len(e.GetFields()) > 0 || e.GetExternalIdField() != "" || e.GetMarkerField() != "" ||
		e.GetStatus().GetField() != "" || e.GetStatus().GetRegistered() != "" || e.GetStatus().GetCancelled() != ""
}

func imports(s *configv1.EventSetup) bool { return codes(s) || registers(s) }

func codes(s *configv1.EventSetup) bool {
	i := s.GetImport()
	return i.GetEventObject() != "" || i.GetEventCodeField() != "" || i.GetRegistrationCodeField() != ""
}

func registers(s *configv1.EventSetup) bool {
	i := s.GetImport()
	return i.GetRegistrationObject() != "" || i.GetTicketObjectField() != "" ||
		len(i.GetFirstNamePaths()) > 0 || len(i.GetLastNamePaths()) > 0 || len(i.GetAddressPaths()) > 0
}

func attends(a *configv1.AttendanceField) bool {
	return a.GetField() != "" || a.GetAttended() != "" || a.GetAbsent() != ""
}
