package app_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// secretField is what fields of structs are called that hold a secret.
var secretField = regexp.MustCompile(`(?i)(secret|password|token|privatekey|dsn|credentials|verifier)$`)

// plainFields are fields with such a name that are texts or bytes all the same, and why.
var plainFields = map[string]string{
	"generator/scenario.go: ClientSecret":          "written into the simulator's own scenario file, where it must be readable",
	"config/internal/store/tokens.go: Credentials": "sealed",

	"internal/apply/report.go: Secret":                 "a new API key, written out once for the program that asked for it",
	"config/internal/auth/door.go: Token":              "what a caller has brought, for as long as it takes to check it",
	"config/internal/connectweb/handler.go: Token":     "good for one answer to the page that it stands on",
	"config/internal/consent/trip.go: Token":           "good for one answer to the page that it stands on",
	"config/internal/consent/attempt.go: ClientSecret": "an attempt is sealed as a whole, as JSON",
	"config/internal/consent/attempt.go: Verifier":     "an attempt is sealed as a whole, as JSON",
	"config/internal/consent/attempt.go: RefreshToken": "an attempt is sealed as a whole, as JSON",
	"config/internal/lifecycle/revoke.go: Token":       "sealed as a whole, as JSON",
}

// A text with a secret in it is printed by accident one day. The simulator has no secrets of anybody, and what is generated
// has its own test in package redact.
func TestNoStructKeepsASecretAsAText(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, root := range []string{"..", "../../libs"} {
		require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "simulator" || d.Name() == "e2e" || d.Name() == "testdata" || strings.HasSuffix(d.Name(), "test")):
				return fs.SkipDir
			case !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"), strings.HasSuffix(path, ".pb.go"):
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, name := range textFields(file) {
				key := strings.TrimPrefix(filepath.ToSlash(path), "../") + ": " + name
				found[key] = true
				if plainFields[key] == "" {
					t.Errorf("%s is a text: make it a secret.String, or say in this test why it is none", key)
				}
			}
			return nil
		}))
	}
	for key := range plainFields {
		require.True(t, found[key], "%s is no longer there", key)
	}
}

// textFields returns the fields of the file's structs that are called like secrets and are texts or bytes.
func textFields(file *ast.File) []string {
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.StructType)
		if !ok {
			return true
		}
		for _, field := range s.Fields.List {
			if !isText(field.Type) {
				continue
			}
			for _, name := range field.Names {
				if secretField.MatchString(name.Name) {
					names = append(names, name.Name)
				}
			}
		}
		return true
	})
	return names
}

func isText(t ast.Expr) bool {
	switch t := t.(type) {
	case *ast.Ident:
		return t.Name == "string"
	case *ast.ArrayType:
		element, ok := t.Elt.(*ast.Ident)
		return ok && t.Len == nil && element.Name == "byte"
	case *ast.StarExpr:
		return isText(t.X)
	}
	return false
}
