package guide

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/probe"
	"github.com/throughline-dev/throughline/services/internal/ids"
	"github.com/throughline-dev/throughline/services/internal/integration"
)

// Lengths of the fields that are suggested.
const (
	textLength     = 255
	longTextLength = 32768
	numberLength   = 16
	numberScale    = 2
)

// Missing lists what an integration's targets need and the org does not show: an object that is nil is not there, one that is
// not among objects could not be asked for and is passed over.
func Missing(targets []integration.Target, objects map[string]*configv1.DescribedObject) []*configv1.MissingField {
	l := lister{byName: map[[2]string]*configv1.MissingField{}}
	for _, target := range targets {
		object, asked := objects[target.Object]
		switch {
		case !asked:
			continue
		case object == nil:
			l.add(&configv1.MissingField{Object: target.Object}, target.Path+".object")
		}
		for _, f := range target.Fields {
			if !has(object, f.Name) && !standard(f) {
				l.add(field(target.Object, f), f.Path)
			}
		}
		if key := target.ExternalIDField; key != "" && !has(object, key) {
			l.add(&configv1.MissingField{
				Object: target.Object, Field: key, Label: label(key), Type: "Text", Length: ids.Length, ExternalId: true,
			}, target.Path+".external_id_field")
		}
		if marker := target.MarkerField; marker != "" && !has(object, marker) {
			l.add(&configv1.MissingField{
				Object: target.Object, Field: marker, Label: label(marker), Type: "Long Text Area", Length: longTextLength,
			}, target.Path+".marker_field")
		}
	}
	slices.SortFunc(l.fields, func(a, b *configv1.MissingField) int {
		return cmp.Or(cmp.Compare(a.GetObject(), b.GetObject()), cmp.Compare(a.GetField(), b.GetField()))
	})
	return l.fields
}

type lister struct {
	fields []*configv1.MissingField
	byName map[[2]string]*configv1.MissingField
}

func (l *lister) add(f *configv1.MissingField, path string) {
	name := [2]string{f.GetObject(), strings.ToLower(f.GetField())}
	known := l.byName[name]
	if known == nil {
		f.OfPackage = probe.OfPackage(f.GetObject(), f.GetField())
		known, l.byName[name], l.fields = f, f, append(l.fields, f)
	}
	known.UsedBy = append(known.UsedBy, path)
	known.Length = max(known.GetLength(), f.GetLength())
	known.ExternalId = known.GetExternalId() || f.GetExternalId()
}

func has(o *configv1.DescribedObject, name string) bool {
	return slices.ContainsFunc(o.GetFields(), func(f *configv1.DescribedField) bool { return strings.EqualFold(f.GetName(), name) })
}

// standard reports whether an action sets a field by itself: those are Salesforce's own and can only be hidden.
func standard(f integration.TargetField) bool { return f.Own && !strings.HasSuffix(f.Name, "__c") }

// field suggests how to make a field for what is mapped to it.
func field(object string, f integration.TargetField) *configv1.MissingField {
	out := &configv1.MissingField{Object: object, Field: f.Name, Label: label(f.Name)}
	switch f.Kind {
	case integration.ValueNumber:
		out.Type, out.Length, out.Scale = "Number", numberLength, numberScale
	case integration.ValueFlag:
		out.Type = "Checkbox"
	case integration.ValueTime:
		out.Type = "Date/Time"
	default:
		out.Type, out.Length = "Text", textLength
		if longest := max(f.MaxLength, integration.Units(f.Literal)); longest > textLength {
			out.Type, out.Length = "Long Text Area", int32(max(longest, longTextLength)) //nolint:gosec // bounded by the proto
		} else if f.MaxLength > 0 {
			out.Length = int32(f.MaxLength) //nolint:gosec // at most textLength
		}
		if strings.HasSuffix(f.Name, "Id") && !strings.HasSuffix(f.Name, "__c") {
			out.Type, out.Length = "Lookup", 0
		}
	}
	return out
}

// label makes words of an API name: Last_Viewed_At__c is "Last Viewed At".
func label(name string) string {
	name = strings.TrimSuffix(name, "__c")
	if _, rest, spaced := strings.Cut(name, "__"); spaced {
		name = rest
	}
	return strings.TrimSpace(strings.ReplaceAll(name, "_", " "))
}

// Ask is what to hand to an administrator of the org: one line for each field. User is the one who does not see them, "" if
// nobody knows the name.
func Ask(fields []*configv1.MissingField, user string) *configv1.GuideText {
	if len(fields) == 0 {
		return nil
	}
	whoEN, whoJA := "the integration user", "インテグレーションユーザー"
	if user != "" {
		whoEN, whoJA = "user "+user, "ユーザー "+user
	}
	var en, ja strings.Builder
	fmt.Fprintf(&en, "These fields are not there, or not visible to %s. Please make them (Setup › Object Manager › the object › Fields & "+
		"Relationships › New), or show them (Set Field-Level Security):\n", whoEN)
	fmt.Fprintf(&ja, "次の項目は存在しないか、%sに表示されていません。作成 (設定 › オブジェクトマネージャー › 対象オブジェクト › 項目とリレーション › 新規) するか、"+
		"表示 (項目レベルセキュリティの設定) してください:\n", whoJA)
	for _, f := range fields {
		line := f.GetObject() + "\t" + f.GetField() + "\t" + f.GetLabel() + "\t" + typeOf(f)
		switch {
		case f.GetField() == "":
			fmt.Fprintf(&en, "%s\tthe object itself\n", f.GetObject())
			fmt.Fprintf(&ja, "%s\tオブジェクト自体\n", f.GetObject())
			continue
		case f.GetOfPackage():
			fmt.Fprintf(&en, "%s\tthe package brings it: install or upgrade that\n", line)
			fmt.Fprintf(&ja, "%s\tパッケージに含まれます。インストールまたはアップグレードしてください\n", line)
			continue
		}
		en.WriteString(line + "\n")
		ja.WriteString(line + "\n")
	}
	return text(en.String(), ja.String())
}

// typeOf is a type with its size, as Salesforce's lists of fields show it.
func typeOf(f *configv1.MissingField) string {
	out := f.GetType()
	switch {
	case f.GetScale() > 0:
		out = fmt.Sprintf("%s(%d, %d)", out, f.GetLength(), f.GetScale())
	case f.GetLength() > 0:
		out = fmt.Sprintf("%s(%d)", out, f.GetLength())
	}
	if f.GetExternalId() {
		out += " (External ID) (Unique)"
	}
	return out
}
