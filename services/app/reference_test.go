package app_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/throughline-dev/throughline/services/app"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

const (
	module        = "github.com/throughline-dev/throughline/"
	referenceFile = "docs/configuration.md"
	referenceHead = `# Configuration

Every key, with its default and what it does; written from the program by ` + "`go test ./services/app -run Reference -update`" + `, and held
against it by the same test. [operations.md](operations.md#configuration) says where values come from. A key as an environment variable:
` + "`kafka.sasl.password_file`" + ` is ` + "`THROUGHLINE_KAFKA__SASL__PASSWORD_FILE`" + `; on the command line ` + "`--set kafka.sasl.password_file=…`" + `. Times have
their unit: ` + "`30s`, `5m`, `24h`" + `. Of a list, the keys of its elements are named after ` + "`[]`" + `.
`
)

// reference writes the page.
type reference struct {
	t *testing.T
	// comments of the fields of a package's structs, by "Struct.Field".
	comments map[string]map[string]string
	// sections in the order in which they appear, with their rows.
	order []string
	rows  map[string][]string
}

func (r *reference) String() string {
	var out strings.Builder
	out.WriteString(referenceHead)
	for _, section := range r.order {
		fmt.Fprintf(&out, "\n## %s\n\n| key | default | what it is |\n|---|---|---|\n%s", section, strings.Join(r.rows[section], ""))
	}
	return out.String()
}

// of returns what is said of a field where it is declared.
func (r *reference) of(owner reflect.Type, field string) string {
	dir, ok := strings.CutPrefix(owner.PkgPath(), module)
	require.True(r.t, ok, "%s of %s", field, owner)
	if r.comments[dir] == nil {
		r.comments[dir] = r.read(filepath.Join(root, dir))
	}
	return r.comments[dir][owner.Name()+"."+field]
}

func (r *reference) read(dir string) map[string]string {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(r.t, err)
	out := map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		require.NoError(r.t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				last := ""
				for _, f := range s.Fields.List {
					text := strings.Join(strings.Fields(f.Doc.Text()+" "+f.Comment.Text()), " ")
					for _, id := range f.Names {
						if text == "" && strings.Contains(last, id.Name) { // "CertFile and KeyFile hold …"
							text = last
						}
						out[spec.Name.Name+"."+id.Name] = text
					}
					last = text
				}
			}
			return true
		})
	}
	return out
}

// walk writes a row for every value below.
func (r *reference) walk(path string, v reflect.Value) {
	t := v.Type()
	for i := range t.NumField() {
		key, options, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if key == "-" || !t.Field(i).IsExported() {
			continue
		}
		at := path + key
		switch f := v.Field(i); {
		case options == "inline":
			r.walk(path, f)
		case f.Kind() == reflect.Struct && f.Type().PkgPath() != "" && !isScalar(f):
			r.walk(at+".", f)
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct && !isScalar(reflect.New(f.Type().Elem()).Elem()):
			r.row(at, f, r.of(t, t.Field(i).Name))
			r.walk(at+"[].", reflect.New(f.Type().Elem()).Elem())
		default:
			r.row(at, f, r.of(t, t.Field(i).Name))
		}
	}
}

// isScalar reports whether a struct is written as one value.
func isScalar(v reflect.Value) bool {
	var node yaml.Node
	return node.Encode(v.Interface()) == nil && node.Kind == yaml.ScalarNode
}

func (r *reference) row(key string, v reflect.Value, about string) {
	section, _, below := strings.Cut(key, ".")
	if !below {
		section = "The process"
	}
	if r.rows[section] == nil {
		r.order = append(r.order, section)
	}
	var node yaml.Node
	require.NoError(r.t, node.Encode(v.Interface()))
	node.Style = yaml.FlowStyle
	text, err := yaml.Marshal(&node)
	require.NoError(r.t, err)
	value := strings.Join(strings.Fields(string(text)), " ")
	if strings.Contains(key, "[]") || value == `""` || value == "[]" || value == "{}" || value == "null" {
		value = ""
	}
	if value != "" {
		value = "`" + strings.ReplaceAll(value, "|", `\|`) + "`"
	}
	require.NotEmpty(r.t, about, "say at the field of %s what it is", key)
	r.rows[section] = append(r.rows[section], fmt.Sprintf("| `%s` | %s | %s |\n", key, value, strings.ReplaceAll(about, "|", `\|`)))
}

func TestTheReferenceOfTheConfigurationIsCurrent(t *testing.T) {
	t.Parallel()
	r := &reference{t: t, comments: map[string]map[string]string{}, rows: map[string][]string{}}
	r.walk("", reflect.ValueOf(app.DefaultConfig()))
	path := filepath.Join(root, referenceFile)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(r.String()), 0o600))
	}
	have, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, r.String(), string(have), "run `go test ./services/app -run Reference -update`")
}
