package simulator_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/services/simulator"
)

// childDir names the directory of a child process; set, the test binary is a simulator until it is killed.
const childDir = "SIMULATOR_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func child(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	sim, err := simulator.New(childConfig(dir), simulator.Deps{})
	if err != nil {
		return err
	}
	sc, err := simulator.ParseScenario([]byte(scenarioText))
	if err != nil {
		return err
	}
	if err := sim.Seed(ctx, sc); err != nil {
		return err
	}
	if err := sim.Listen(ctx); err != nil {
		return err
	}
	fmt.Println(sim.BaseURL("acme"))
	return sim.Run(ctx)
}

func childConfig(dir string) simulator.Config {
	cfg := simulator.DefaultConfig()
	cfg.Listen, cfg.Dir, cfg.DrainTimeout = "127.0.0.1:0", dir, time.Minute
	return cfg
}

// start runs a child and returns its process and the address of the org.
func start(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return cmd, strings.TrimSpace(line)
}

func token(base string) (string, error) {
	res, err := http.PostForm(base+"/services/oauth2/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"app"}, "client_secret": {"secret"},
	})
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	err = json.NewDecoder(res.Body).Decode(&answer)
	return answer.AccessToken, err
}

// upsert writes round into ten rows and reports whether the org said that all of them are saved.
func upsert(base, token string, round int) bool {
	var sb strings.Builder
	sb.WriteString(`{"records":[`)
	for i := range 10 {
		if i > 0 {
			sb.WriteByte(',')
		}
		fmt.Fprintf(&sb, `{"External_Id__c":"r%d-%d","View_Count__c":%d},{"External_Id__c":"same-%d","View_Count__c":%d}`, round, i, round, i, round)
	}
	sb.WriteString("]}")
	req, err := http.NewRequest(http.MethodPatch, base+"/services/data/v67.0/composite/sobjects/Engagement__c/External_Id__c", strings.NewReader(sb.String()))
	if err != nil {
		return false
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return err == nil && res.StatusCode == http.StatusOK && strings.Count(string(body), `"success":true`) == 20
}

func TestKilledProcessKeepsWhatItAnsweredAsSaved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	saved, session := 0, ""
	for range 3 {
		cmd, base := start(t, dir)
		if session == "" {
			var err error
			session, err = token(base)
			require.NoError(t, err)
		}
		target, reached, done := saved+25, make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for upsert(base, session, saved+1) {
				saved++
				if saved == target {
					close(reached)
				}
			}
		}()
		select {
		case <-reached:
		case <-done:
			t.Fatal("the org refused a write; the session of the first process should have lasted")
		}
		require.NoError(t, cmd.Process.Kill()) // while the next write is on its way
		<-done
		_ = cmd.Wait() // killed
	}

	sim, err := simulator.New(childConfig(dir), simulator.Deps{})
	require.NoError(t, err)
	require.NoError(t, sim.Open(t.Context()))
	defer func() { require.NoError(t, sim.Close()) }()
	var out strings.Builder
	require.NoError(t, sim.Export(t.Context(), &out, simulator.Selection{Org: "acme", Object: "Engagement__c"}))
	rows := map[string]float64{}
	ids := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		var row struct {
			ID    string  `json:"Id"`
			Key   string  `json:"External_Id__c"`
			Views float64 `json:"View_Count__c"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &row))
		require.NotContains(t, rows, row.Key)
		require.False(t, ids[row.ID], "id %s is used twice", row.ID)
		rows[row.Key], ids[row.ID] = row.Views, true
	}
	for round := 1; round <= saved; round++ {
		for i := range 10 {
			require.Contains(t, rows, fmt.Sprintf("r%d-%d", round, i))
		}
	}
	for i := range 10 {
		require.GreaterOrEqual(t, rows[fmt.Sprintf("same-%d", i)], float64(saved))
	}
}
