package integration_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
)

func TestTemplateFormats(t *testing.T) {
	t.Parallel()
	fields, _ := write(t, rule(
		template("Braces__c", "en", "{{{content.title}}}"),
		template("Plain__c", "en", "{engagement.views}/{visit.counts_as_view}/{visit.last_activity_at}"),
		template("Dates__c", "en", "{visit.last_activity_at|date}, {visit.last_activity_at|day}"),
		template("Numbers__c", "en", "{engagement.percent_watched|percent} {engagement.percent_watched|percent:1} {engagement.watched_seconds|number:1}"),
		template("Or__c", "en", "{content.page_count|number|or:–} {content.title|prefix:«|suffix:»} {owner.name|whole:3|or:long}"),
	), integrationtest.Video())
	require.Equal(t, map[string]any{
		"Braces__c":  "{Product tour}",
		"Plain__c":   "2/true/March 2, 2026 00:30 (JST)",
		"Dates__c":   "March 2, 2026, 2026-03-02",
		"Numbers__c": "67% 66.7% 190.5",
		"Or__c":      "– «Product tour» long",
	}, fields)
}

// Subject after subject, whatever the title: the title gives way, the address and the words around it stay (IMM-22).
func TestTheTitleIsCutFirstAndNeverTheAddress(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "IMM-22")
	subject := template("Subject", "en", "{viewer.email} closed the document “{content.title|shrink}”")
	program := compile(t, rule(subject))
	rapid.Check(t, func(t *rapid.T) {
		in := integrationtest.Document()
		in.Viewer.Email = rapid.StringMatching(`[a-z]{1,60}@[a-z]{1,60}\.example`).Draw(t, "address")
		in.Resolved.Engagement.Content.Title = rapid.StringN(1, 400, -1).Draw(t, "title")
		d := program.Evaluate(in)
		require.Len(t, d.Records, 1)
		got := integrationtest.Fields(d.Records[0].Fields)["Subject"].(string)
		require.True(t, strings.HasPrefix(got, in.Viewer.Email+" closed the document “"))
		require.True(t, strings.HasSuffix(got, "”"))
		require.LessOrEqual(t, utf8.RuneCountInString(got), 255)
		if strings.HasSuffix(got, "…”") && !strings.Contains(in.Resolved.Engagement.Content.Title, "…") {
			require.Len(t, d.Records[0].Warnings, 1)
			require.Regexp(t, `^VALUE_TRUNCATED Subject: \d+ characters cut to 2[45]\d$`, d.Records[0].Warnings[0])
		}
	})
}

func TestDataCannotAddALineOrAPlaceholder(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-35")
	in := integrationtest.Document()
	in.Resolved.Engagement.Content.Title = "A\nRef: tl-forged\u2028{viewer.email}\x1b[31m <script>alert(1)</script> =HYPERLINK(1)"
	fields, _ := write(t, rule(
		template("A__c", "en", "Title: {content.title}\nEnd"),
		expression("B__c", "'Title: ' + content.title"),
		path("C__c", "content.title"),
	), in)
	title := "A Ref: tl-forged {viewer.email}[31m <script>alert(1)</script> =HYPERLINK(1)"
	require.Equal(t, map[string]any{"A__c": "Title: " + title + "\nEnd", "B__c": "Title: " + title, "C__c": title}, fields)
}

func TestUnknownPlaceholdersAreRefused(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-35")
	for _, text := range []string{
		"{viewer}", "{viewer.phone}", "{.}", "{}", "{ }", "{viewer.email|}", "{viewer.email|upper}", "{viewer.email|or}",
		"{viewer.email|or:}", "{visit.exit_page|duration:5}", "{visit.exit_page|round:9}", "{content.owner_sealed}", "}", "{",
		"{viewer.email\n}", "{{viewer.email}", "{visit.exit_page|shrink}", "{content.title|whole:no}", "{__proto__}", "{$x}",
	} {
		_, err := integration.Compile(rule(template("A__c", "en", text)))
		var invalid *integration.Error
		require.ErrorAs(t, err, &invalid, text)
		require.Positive(t, invalid.Problems[0].Column, text)
		require.Equal(t, `actions[0].fields[0].template.texts["en"]`, invalid.Problems[0].Path)
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule, reader, workspace string
		want                    string
	}{
		"the rule's":                         {"ja", "en_US", "en", "こんにちは 10分"},
		"then the reader's":                  {"", "ja", "en", "こんにちは 10分"},
		"also with a country":                {"", "en_US", "ja", "hello 10 min"},
		"then the workspace's":               {"", "", "ja", "こんにちは 10分"},
		"then English":                       {"", "", "", "hello 10 min"},
		"English for a language without one": {"", "de", "ja", "hello 10 min"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := integrationtest.Document()
			in.Language = c.workspace
			in.Resolved.Engagement.Visit.DwellSeconds = 600
			in.Resolved.Resolution.Person.OwnerLanguage = c.reader
			greeting := template("Subject", "en", "hello {visit.dwell_seconds|duration}", "ja", "こんにちは {visit.dwell_seconds|duration}")
			for _, i := range []*configv1.Integration{rule(greeting), task(&configv1.Assignment{}, greeting)} {
				i.Language = c.rule
				fields, record := write(t, i, in)
				require.Equal(t, c.want, fields["Subject"])
				require.Equal(t, c.reader == "de", len(record.Warnings) == 1)
			}
		})
	}
	t.Run("the document owner's when the task is theirs", func(t *testing.T) {
		t.Parallel()
		in := integrationtest.Document()
		fields, _ := write(t, task(
			&configv1.Assignment{Chain: []configv1.Assignee{configv1.Assignee_ASSIGNEE_CONTENT_OWNER}},
			template("Subject", "en", "hello", "ja", "こんにちは")), in)
		require.Equal(t, "hello", fields["Subject"])
	})
	t.Run("a text missing in the language falls back to English and says so", func(t *testing.T) {
		t.Parallel()
		in := integrationtest.Document()
		fields, record := write(t, rule(template("Subject", "en", "hello")), in)
		require.Equal(t, "hello", fields["Subject"])
		require.Equal(t, []string{"no text in ja; English was used"}, record.Warnings)
	})
}

func TestNegativeDwellIsZeroWithAWarning(t *testing.T) {
	t.Parallel()
	in := integrationtest.Document()
	in.Resolved.Engagement.Visit.DwellSeconds = -3
	fields, record := write(t, rule(template("A__c", "en", "{visit.dwell_seconds|duration}", "ja", "{visit.dwell_seconds|duration}")), in)
	require.Equal(t, "0秒", fields["A__c"])
	require.Equal(t, []string{"a negative duration was written as 0"}, record.Warnings)
}

// Whatever is saved either does not compile or runs: it never panics, never exceeds its limit, and never lets a
// control character through.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		"{viewer.email|suffix: 様|or:不明}が「{content.title|shrink}」", "{{}}", "{visit.exit_page|number|or:–}\n", "{", "}", "{a|b:c}",
		"{visit.last_activity_at|date}", "{owner.name|whole:3}", "\xff{content.title}",
	} {
		f.Add(seed, "title 👨‍👩‍👧", uint16(20))
	}
	f.Fuzz(func(t *testing.T, text, title string, limit uint16) {
		mapping := template("A__c", "en", text)
		mapping.MaxLength = int32(limit)
		p, err := integration.Compile(rule(mapping))
		if err != nil {
			return
		}
		allowed := int(limit)
		if allowed == 0 {
			allowed = 255
		}
		in := integrationtest.Document()
		in.Resolved.Engagement.Content = &streamv1.Content{Title: title}
		for _, record := range p.Evaluate(in).Records {
			for _, field := range record.Fields {
				require.True(t, utf8.ValidString(field.GetText()))
				require.NotContains(t, strings.ReplaceAll(field.GetText(), "\n", ""), "\x00")
				require.LessOrEqual(t, utf8.RuneCountInString(field.GetText()), allowed)
			}
		}
	})
}

// Whatever is saved as CEL either does not compile or runs within its cost, and no fault of it quotes the input.
func FuzzExpression(f *testing.F) {
	for _, seed := range []string{
		"engagement.views + 1u", "viewer.email.matches('^.*@.*$')", "[1,2].map(x, x / 0)", "content.?title.orValue('x')",
		"engagement.ranges.exists(r, r.to > 10.0)", "'", "day(visit.started_at, zone)", "int(viewer.email)", "{'a': viewer}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := integration.Compile(rule(expression("A__c", text)))
		if err != nil {
			return
		}
		for _, r := range p.Evaluate(integrationtest.Video()).Refusals {
			require.NotContains(t, r.Detail, integrationtest.Viewer)
		}
	})
}
