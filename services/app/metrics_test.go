package app_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var (
	// madeMetric is a metric's name where the program makes it: two dots at least, other than an attribute, and no version, other
	// than a kind of record.
	madeMetric = regexp.MustCompile(`"(throughline\.[a-z_]+(?:\.[a-z_]+)+)"`)
	// listedMetric begins a row of docs/metrics.md.
	listedMetric = regexp.MustCompile("(?m)^\\| `(throughline_[a-z_]+)` \\|")
	usedMetric   = regexp.MustCompile(`\bthroughline_[a-z]+_[a-z_]+[a-z]\b`)
)

// made are the metrics that the program makes, as Prometheus names them but for the unit and the kind.
func made(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, module := range []string{"libs", "services"} {
		err := filepath.WalkDir(filepath.Join(root, module), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, m := range madeMetric.FindAllStringSubmatch(string(source), -1) {
				if name := strings.ReplaceAll(m[1], ".", "_"); !slices.Contains(out, name) {
					out = append(out, name)
				}
			}
			return err
		})
		require.NoError(t, err)
	}
	return out
}

// bare is a metric's name in Prometheus without unit and kind.
func bare(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, "_total"), "_seconds")
}

func readRoot(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(data)
}

func TestEveryMetricIsExplainedAndEveryOneUsedIsThere(t *testing.T) {
	t.Parallel()
	var listed, names []string
	for _, m := range listedMetric.FindAllStringSubmatch(readRoot(t, "docs/metrics.md"), -1) {
		names, listed = append(names, m[1]), append(listed, bare(m[1]))
	}
	require.Greater(t, len(listed), 40)
	require.ElementsMatch(t, made(t), listed, "docs/metrics.md, and what the program makes")

	labels := []string{"throughline_write_key"}
	for _, path := range []string{"deploy/compose/prometheus-alerts.yml", "deploy/compose/grafana/dashboards/throughline.json", "docs/operations.md"} {
		for _, used := range usedMetric.FindAllString(readRoot(t, path), -1) {
			if !slices.Contains(labels, used) {
				require.Contains(t, names, used, path)
			}
		}
	}
}

func TestEveryAlertHasItsRunbook(t *testing.T) {
	t.Parallel()
	var alerts struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(readRoot(t, "deploy/compose/prometheus-alerts.yml")), &alerts))
	_, runbook, found := strings.Cut(readRoot(t, "docs/operations.md"), "\n## At 3 a.m.\n")
	require.True(t, found)
	runbook, _, _ = strings.Cut(runbook, "\n## ")
	for _, group := range alerts.Groups {
		require.NotEmpty(t, group.Rules)
		for _, rule := range group.Rules {
			require.Contains(t, runbook, "`"+rule.Alert+"`")
			require.Contains(t, []string{"page", "ticket"}, rule.Labels["severity"], rule.Alert)
			require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
			require.NotEmpty(t, rule.Annotations["action"], rule.Alert)
		}
	}
}
