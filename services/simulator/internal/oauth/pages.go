package oauth

import "html/template"

const style = `<style>body{font:16px/1.5 system-ui,sans-serif;background:#f3f3f3;color:#181818;display:grid;place-items:center;min-height:100vh;margin:0}
main{background:#fff;border:1px solid #ddd;border-radius:8px;padding:32px;max-width:26rem;width:100%;box-sizing:border-box}
h1{font-size:1.25rem;margin:0 0 .5rem}label{display:block;margin:.75rem 0 .25rem}select,input{font:inherit;width:100%;padding:.5rem;box-sizing:border-box}
button{font:inherit;padding:.5rem 1.25rem;border-radius:4px;border:1px solid #0176d3;margin:1rem .5rem 0 0;background:#fff;color:#0176d3}
button.allow{background:#0176d3;color:#fff}</style>`

var errorPage = template.Must(template.New("error").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><title>{{.Code}}</title>` + style +
	`<main><h1>OAuth Error</h1><p>error={{.Code}}<br>error_description={{.Description}}</p></main></html>`))

var consentPage = template.Must(template.New("consent").Parse(`<!doctype html><html lang="{{if .Japanese}}ja{{else}}en{{end}}"><meta charset="utf-8">
<title>{{if .Japanese}}アクセスを許可しますか?{{else}}Allow access?{{end}}</title>` + style + `
<main><h1>{{if .Japanese}}アクセスを許可しますか?{{else}}Allow access?{{end}}</h1>
<p>{{if .Japanese}}{{.App}} が {{.Org}} へのアクセスを求めています。{{else}}{{.App}} is asking to access {{.Org}}:{{end}}</p>
<ul>{{range .Scopes}}<li>{{.}}</li>{{end}}</ul>
<form method="post">{{range $key, $values := .Form}}{{range $values}}<input type="hidden" name="{{$key}}" value="{{.}}">{{end}}{{end}}
<label for="username">{{if .Japanese}}ユーザー{{else}}User{{end}}</label>
<select id="username" name="username">{{range .Users}}<option value="{{.Username}}"{{if eq .Username $.Hint}} selected{{end}}>{{.Name}} ({{.Username}})</option>{{end}}</select>
<label for="password">{{if .Japanese}}パスワード (設定されている場合){{else}}Password (where one is set){{end}}</label>
<input id="password" type="password" name="password" autocomplete="off">
<button class="allow" name="answer" value="allow">{{if .Japanese}}許可{{else}}Allow{{end}}</button>
<button name="answer" value="deny">{{if .Japanese}}拒否{{else}}Deny{{end}}</button>
</form></main></html>`))
