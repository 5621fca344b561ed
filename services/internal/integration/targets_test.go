package integration_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/integration"
	"github.com/throughline-dev/throughline/services/internal/integration/integrationtest"
)

func TestTargetsSayWhatAnActionAsksOfItsObject(t *testing.T) {
	t.Parallel()
	fail := path("Email__c", "viewer.email")
	fail.NullPolicy, fail.MaxLength = configv1.NullPolicy_NULL_POLICY_FAIL, 80
	clear := path("Lead__c", "resolution.lead.record_id")
	clear.NullPolicy = configv1.NullPolicy_NULL_POLICY_CLEAR
	targets := compile(t, rule(
		path("At__c", "visit.last_activity_at"), constant("Source__c", "Throughline"),
		expression("Any__c", "engagement.views > 2 ? dyn(1) : dyn('a')"), expression("Big__c", "engagement.views > 2u"),
		expression("Maybe__c", "engagement.views > 2u ? optional.of(1.5) : optional.none()"), path("Views__c", "engagement.views"),
		template("Text__c", "en", "{engagement.views}"), fail, clear,
	)).Targets()
	require.Equal(t, []integration.Target{{
		Path: "actions[0]", Object: "Engagement__c", Changes: true, ExternalIDField: "External_Id__c", MarkerRoom: 48,
		Fields: []integration.TargetField{
			{Name: "Any__c", Path: "actions[0].fields[2]"},
			{Name: "At__c", Path: "actions[0].fields[0]", Kind: integration.ValueTime},
			{Name: "Big__c", Path: "actions[0].fields[3]", Kind: integration.ValueFlag, Sure: true},
			{Name: "Email__c", Path: "actions[0].fields[7]", Kind: integration.ValueText, Sure: true, MaxLength: 80},
			{Name: "Lead__c", Path: "actions[0].fields[8]", Kind: integration.ValueText, Clears: true},
			{Name: "Maybe__c", Path: "actions[0].fields[4]", Kind: integration.ValueNumber},
			{Name: "Source__c", Path: "actions[0].fields[1]", Kind: integration.ValueText, Literal: "Throughline", Sure: true},
			{Name: "Text__c", Path: "actions[0].fields[6]", Kind: integration.ValueText},
			{Name: "Views__c", Path: "actions[0].fields[5]", Kind: integration.ValueNumber},
		},
	}}, targets)
}

func TestTargetsNameWhatAnActionSetsByItself(t *testing.T) {
	t.Parallel()
	task := compile(t, task(&configv1.Assignment{}, constant("Subject", "Hello"))).Targets()[0]
	require.False(t, task.Changes, "what is inserted is never changed")
	require.Equal(t, "Description", task.MarkerField)
	own := func(target integration.Target) (names []string) {
		for _, f := range target.Fields {
			if f.Own {
				names = append(names, f.Name)
			}
		}
		return names
	}
	require.Equal(t, []string{"OwnerId", "WhoId"}, own(task))

	member := rule(constant("CampaignId", "701SM0000012abCYAQ"))
	member.Actions[0].Object, member.Actions[0].ExternalIdField = "CampaignMember", ""
	member.Actions[0].Operation = configv1.ActionOperation_ACTION_OPERATION_INSERT
	target := compile(t, member).Targets()[0]
	require.Equal(t, []string{"ContactId", "LeadId"}, own(target))
	require.False(t, target.Changes)
}

// described is a rule that writes a text into Text__c, described with a length; 0: not known.
func described(source *configv1.FieldMapping, length int32) *configv1.Integration {
	i := rule(source)
	if length > 0 {
		i.DescribedLengths = map[string]int32{integration.DescribedKey("Engagement__c", "Text__c"): length}
	}
	return i
}

func TestTheLongestTextIsTheMappingsAndNeverMoreThanTheFieldTakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		asked, described int32
		want             int
	}{{0, 0, 255}, {0, 80, 80}, {0, 32000, 32000}, {40, 80, 40}, {300, 80, 80}, {300, 0, 300}} {
		source := path("Text__c", "content.title")
		source.MaxLength = c.asked
		in := integrationtest.Video()
		in.Resolved.Engagement.Content.Title = strings.Repeat("x", 40_000)
		fields, record := write(t, described(source, c.described), in)
		require.Len(t, []rune(fields["Text__c"].(string)), c.want, "%+v", c)
		require.Equal(t, []string{fmt.Sprintf("VALUE_TRUNCATED Text__c: 40000 characters cut to %d", c.want)}, record.Warnings)
	}
}

func TestATooLongTextFailsWhereTheMappingSaysSo(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]*configv1.FieldMapping{
		"path": path("Text__c", "content.title"), "template": template("Text__c", "en", "On {content.title}", "ja", "On {content.title}"),
		"constant": constant("Text__c", strings.Repeat("y", 90)), "expression": expression("Text__c", "content.title + '!'"),
	} {
		source.OnTooLong = configv1.TooLongPolicy_TOO_LONG_POLICY_FAIL
		in := integrationtest.Video()
		in.Resolved.Engagement.Content.Title = strings.Repeat("x", 88)
		r := refused(t, described(source, 80), in)
		require.Equal(t, streamv1.Reason_REASON_MAPPING_INVALID, r.Reason, name)
		require.True(t, r.Failed, name)
		require.Regexp(t, `field Text__c .*: the text has (88|89|90|91) characters, the field takes 80`, r.Detail, name)
		require.NotContains(t, r.Detail, "xx", "no values in details")

		fields, record := write(t, described(source, 100), in)
		require.NotContains(t, fields["Text__c"], "…", name)
		require.Empty(t, record.Warnings, name)
	}
	bad := path("Text__c", "content.title")
	bad.OnTooLong = 9
	_, err := integration.Compile(rule(bad))
	require.ErrorContains(t, err, "actions[0].fields[0].on_too_long")
}

// Whatever a title consists of, what is written fits, holds whole characters as people see them, and the cut is told.
func TestTextsFitTheirFieldsAndLoseNothingUnsaid(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-37")
	pieces := []string{
		"a", "Z", " ", "資料", "ｱｲｳ", "ＡＢ", "が", "か\u3099", "e\u0301", "😀", "👩‍👩‍👧‍👦", "🇯🇵", "𠮷", "\u200d", "\x00", "\x1b", "\u0085", "\n", "\t",
		"\xff", "\xe3\x81",
	}
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int32{1, 2, 18, 80, 255, 32000}).Draw(t, "length of the field")
		title := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 400).Draw(t, "title"), "")
		source := path("Text__c", "content.title")
		failing := rapid.Bool().Draw(t, "fails")
		if failing {
			source.OnTooLong = configv1.TooLongPolicy_TOO_LONG_POLICY_FAIL
		}
		program, err := integration.Compile(described(source, limit))
		require.NoError(t, err)
		in := integrationtest.Video()
		in.Resolved.Engagement.Content.Title = title
		d := program.Evaluate(in)
		if failing && len(d.Records) == 0 {
			require.Greater(t, integration.Units(tidy(title)), int(limit))
			return
		}
		require.Len(t, d.Records, 1)
		got, _ := integrationtest.Fields(d.Records[0].Fields)["Text__c"].(string)
		require.LessOrEqual(t, integration.Units(got), int(limit))
		require.True(t, utf8.ValidString(got))
		clean := tidy(title)
		wanted := []string{}
		if !utf8.ValidString(title) {
			wanted = append(wanted, "invalid UTF-8 was replaced")
		}
		if had := integration.Units(clean); had > int(limit) {
			require.False(t, failing, "a cut where the mapping says that there is none")
			kept := strings.TrimSuffix(got, "…")
			require.True(t, strings.HasPrefix(clean, kept))
			require.True(t, wholeClusters(clean, len(kept)), "cut within what a person sees as one character")
			wanted = append(wanted, fmt.Sprintf("VALUE_TRUNCATED Text__c: %d characters cut to %d", had, integration.Units(got)))
		} else if strings.TrimSpace(clean) != "" {
			require.Equal(t, clean, got, "nothing changes but what cannot be written")
		}
		require.ElementsMatch(t, wanted, d.Records[0].Warnings)
	})
}

// tidy is what must be left of a title before it is cut, told in another way than the code does.
func tidy(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(singles(s), "\uFFFD") {
		switch {
		case r == '\n' || r == '\t' || r == 0x85:
			if !strings.HasSuffix(b.String(), "\x01") {
				b.WriteRune('\x01')
			}
		case r < 0x20 || r == 0x7f:
		default:
			b.WriteRune(r)
		}
	}
	return strings.ReplaceAll(b.String(), "\x01", " ")
}

// singles replaces each invalid byte by one that is invalid alone, for ToValidUTF8 merges neighbours.
func singles(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r)
	}
	return b.String()
}

func wholeClusters(s string, at int) bool {
	rest, state := s, -1
	for len(s)-len(rest) < at {
		_, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
	}
	return len(s)-len(rest) == at
}
