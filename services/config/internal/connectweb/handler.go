package connectweb

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/time/rate"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/consent"
)

//go:embed web/*.html
var files embed.FS

// Consent is what the pages show; see consent.Service.
type Consent interface {
	Look(ctx context.Context, ticket string) (consent.Invitation, error)
	Depart(ctx context.Context, ticket string) (consent.Departure, error)
	Return(ctx context.Context, query url.Values, cookie string) (consent.Arrival, error)
	Confirm(ctx context.Context, token, cookie string, yes bool) (consent.Arrival, error)
}

const (
	// cookieName begins with hostPrefix where browsers come over https: no other host of the same domain can set such a cookie.
	// Source: RFC 6265bis, "The "__Host-" Prefix".
	cookieName = "throughline_connect"
	hostPrefix = "__Host-"
	// maxForm bounds what a browser may send, in bytes.
	maxForm = 16 << 10
	// maxSecret is longer than any ticket, state or cookie of ours.
	maxSecret = 128
)

// ConfirmPath takes the answer to the question which org it is.
const ConfirmPath = "/connect-confirm"

// Handler serves the pages.
type Handler struct {
	// Consent does the work.
	Consent Consent
	// Secure is set when browsers come over https.
	Secure bool
	// Origin is where browsers find the pages, e.g. https://throughline.example, where that is not the host that requests name;
	// empty: it is.
	Origin string
	// Limit bounds requests of everybody together: the pages need no account.
	Limit  *rate.Limiter
	Logger *slog.Logger
}

// Routes returns the handler. Forms are taken from these pages only: Salesforce asks nothing of somebody who is logged in and has
// allowed the app before, so that a page elsewhere could connect the org of whoever looks at it.
func (h *Handler) Routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+consent.LinkPath+"{ticket}", h.invite)
	mux.HandleFunc("POST "+consent.LinkPath+"{ticket}", h.leave)
	mux.HandleFunc("GET "+consent.CallbackPath, h.comeBack)
	mux.HandleFunc("POST "+ConfirmPath, h.confirm)
	forms := http.NewCrossOriginProtection()
	if h.Origin != "" {
		if err := forms.AddTrustedOrigin(h.Origin); err != nil {
			h.Logger.Warn("forms are only taken from the host that requests name: the origin of the pages cannot be read", "error", err)
		}
	}
	return h.guard(forms.Handler(mux))
}

func (h *Handler) cookieName() string {
	if h.Secure {
		return hostPrefix + cookieName
	}
	return cookieName
}

// guard adds what every answer carries.
func (h *Handler) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "same-origin") // with no-referrer the pages' own forms would have the origin null
		header.Set("Cache-Control", "no-store")
		if h.Secure {
			header.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if !h.Limit.Allow() { // promise 7
			header.Set("Retry-After", "1")
			http.Error(w, "too many requests", http.StatusTooManyRequests)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// page is what templates are given.
type page struct {
	Lang string
	T    texts
	// Go is where the browser goes by itself.
	Go                string
	Invitation        consent.Invitation
	Org               *configv1.Org
	Result            *configv1.FlowResult
	Token             string
	Title, Text, Code string
	Wanted, Got       string
	// Heading names the page in the browser's tab.
	Heading string
	// Open are the probes of which somebody must look at something, Probes the others.
	Open, Probes []probe
}

// probe is one line of a diagnosis.
type probe struct{ Status, Mark, Says, Finding, Where, Detail string }

func (h *Handler) invite(w http.ResponseWriter, r *http.Request) {
	invitation, err := h.Consent.Look(r.Context(), short(r.PathValue("ticket")))
	if err != nil {
		h.problem(w, r, err)
		return
	}
	h.render(w, r, "invite", http.StatusOK, page{Invitation: invitation})
}

// leave answers with a page and not with a redirect: browsers hold redirects of forms against form-action, and Salesforce
// sends them on to hosts that nobody can list.
func (h *Handler) leave(w http.ResponseWriter, r *http.Request) {
	departure, err := h.Consent.Depart(r.Context(), short(r.PathValue("ticket")))
	if err != nil {
		h.problem(w, r, err)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: h.cookieName(), Value: departure.Cookie, Path: "/", HttpOnly: true, Secure: h.Secure, SameSite: http.SameSiteLaxMode,
	})
	h.render(w, r, "leave", http.StatusOK, page{Go: departure.URL})
}

func (h *Handler) comeBack(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	query.Set("state", short(query.Get("state")))
	arrival, err := h.Consent.Return(r.Context(), query, h.cookieOf(r))
	h.arrive(w, r, arrival, err)
}

func (h *Handler) confirm(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return
	}
	arrival, err := h.Consent.Confirm(r.Context(), short(r.PostForm.Get("token")), h.cookieOf(r), r.PostForm.Get("answer") == "yes")
	h.arrive(w, r, arrival, err)
}

func (h *Handler) arrive(w http.ResponseWriter, r *http.Request, arrival consent.Arrival, err error) {
	lang, t := languageOf(r.Header.Get("Accept-Language"))
	p := page{Org: arrival.Org, Result: arrival.Result, Token: arrival.Token, Title: t.Done, Text: t.DoneText}
	switch {
	case err != nil:
		h.problem(w, r, err)
		return
	case arrival.Again != "":
		http.Redirect(w, r, arrival.Again, http.StatusSeeOther)
		return
	case arrival.Confirm != nil:
		h.render(w, r, "confirm", http.StatusOK, p)
		return
	case arrival.WaitsForAdmin:
		p.Title, p.Text = t.Waits, t.WaitsText
	}
	p.Open, p.Probes = probes(lang, t, arrival.Diagnosis)
	h.render(w, r, "done", http.StatusOK, p)
}

// probes turns a diagnosis into lines of the page's language: what somebody must look at, and what is well.
func probes(lang string, t texts, d *configv1.Diagnosis) (open, well []probe) {
	for _, r := range d.GetResults() {
		text := r.GetEn()
		if lang == "ja" {
			text = r.GetJa()
		}
		status := strings.TrimPrefix(r.GetStatus().String(), "PROBE_STATUS_")
		p := probe{
			Status: status, Mark: map[string]string{"OK": "✓", "BLOCKED": "✗", "COULD_NOT_CHECK": "?"}[status],
			Says:    map[string]string{"OK": t.Well, "BLOCKED": t.Blocked, "COULD_NOT_CHECK": t.Unchecked}[status],
			Finding: text.GetFinding(), Where: text.GetWhere(), Detail: r.GetDetail(),
		}
		if meant, ok := map[string]string{"production": t.Production, "sandbox": t.Sandbox}[p.Detail]; ok {
			p.Detail = meant
		}
		if status == "OK" {
			well = append(well, p)
		} else {
			open = append(open, p)
		}
	}
	return open, well
}

// problem shows why something was not done. Only a *consent.Failure says more than that.
func (h *Handler) problem(w http.ResponseWriter, r *http.Request, err error) {
	_, t := languageOf(r.Header.Get("Accept-Language"))
	var f *consent.Failure
	if !errors.As(err, &f) {
		h.Logger.ErrorContext(r.Context(), "a page of connecting could not be shown", "error", err)
		h.render(w, r, "problem", http.StatusInternalServerError, page{Title: t.Failed, Text: t.Unknown})
		return
	}
	h.render(w, r, "problem", http.StatusBadRequest, page{Title: t.Failed, Text: t.problem(f.Code), Code: f.Code, Wanted: f.Wanted, Got: f.Got})
}

var pages = func() map[string]*template.Template {
	out := map[string]*template.Template{}
	for _, name := range []string{"invite", "leave", "confirm", "done", "problem"} {
		out[name] = template.Must(template.ParseFS(files, "web/layout.html", "web/"+name+".html"))
	}
	return out
}()

func (h *Handler) render(w http.ResponseWriter, r *http.Request, name string, code int, p page) {
	p.Lang, p.T = languageOf(r.Header.Get("Accept-Language"))
	p.Heading = map[string]string{"invite": p.T.InviteTitle, "leave": p.T.Leaving, "confirm": p.T.ConfirmTitle}[name]
	if p.Title != "" && p.Heading == "" {
		p.Heading = p.Title
	}
	var out bytes.Buffer
	if err := pages[name].ExecuteTemplate(&out, "layout", p); err != nil {
		h.Logger.ErrorContext(r.Context(), "a page of connecting could not be rendered", "page", name, "error", err)
		http.Error(w, "template", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(out.Bytes())
}

func (h *Handler) cookieOf(r *http.Request) string {
	c, err := r.Cookie(h.cookieName())
	if err != nil {
		return ""
	}
	return short(c.Value)
}

// short makes of anything too long to be a secret of ours one that is none.
func short(secret string) string {
	if len(secret) > maxSecret {
		return ""
	}
	return secret
}
