package world

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// nameBook holds the words of one language.
type nameBook struct {
	first, last []string
	// romanised forms for addresses; the same lengths as first and last.
	firstLatin, lastLatin []string
	companies             []string
	titles, subjects      []string
	buttons               []string
	// familyFirst: the family name comes first.
	familyFirst bool
}

func namesFor(language string) nameBook {
	if language == "ja" {
		return japanese
	}
	return english
}

var english = nameBook{
	first:      []string{"Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Frances", "Ken", "Radia", "Niklaus", "Leslie", "Tony"},
	last:       []string{"Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Allen", "Thompson", "Perlman", "Wirth", "Lamport", "O'Brien"},
	firstLatin: []string{"ada", "grace", "alan", "edsger", "barbara", "donald", "frances", "ken", "radia", "niklaus", "leslie", "tony"},
	lastLatin:  []string{"lovelace", "hopper", "turing", "dijkstra", "liskov", "knuth", "allen", "thompson", "perlman", "wirth", "lamport", "o'brien"},
	companies:  []string{"Initech", "Umbrella", "Hooli", "Stark", "Wayne", "Tyrell", "Wonka", "Cyberdyne"},
	titles:     []string{"Introduction to", "Pricing of", "Security of", "Case study:", "Deep dive into", "Roadmap for"},
	subjects:   []string{"streams", "the platform", "connectors", "dashboards", "data residency", "onboarding"},
	buttons:    []string{"Book a demo", "Start the trial", "Talk to sales"},
}

var japanese = nameBook{
	first:       []string{"陽子", "健太", "美咲", "翔", "さくら", "大輔", "由美", "直樹", "葵", "拓也"},
	last:        []string{"佐藤", "鈴木", "高橋", "田中", "渡辺", "伊藤", "山本", "中村", "小林", "加藤"},
	firstLatin:  []string{"yoko", "kenta", "misaki", "sho", "sakura", "daisuke", "yumi", "naoki", "aoi", "takuya"},
	lastLatin:   []string{"sato", "suzuki", "takahashi", "tanaka", "watanabe", "ito", "yamamoto", "nakamura", "kobayashi", "kato"},
	companies:   []string{"富士見工業", "みらい電機", "青空物流", "東西銀行", "北斗製薬", "さざなみ食品"},
	titles:      []string{"はじめての", "導入事例:", "詳しく知る", "料金のご案内:", "セキュリティと", "新機能紹介:"},
	subjects:    []string{"データ連携", "動画活用", "営業支援", "ダッシュボード", "資料共有", "オンボーディング"},
	buttons:     []string{"デモを予約する", "資料請求", "お問い合わせ"},
	familyFirst: true,
}

// draw returns a first and a last name.
func (n *nameBook) draw(rnd *rand.Rand) (first, last string) {
	return n.first[rnd.IntN(len(n.first))], n.last[rnd.IntN(len(n.last))]
}

// full puts the names in the order of the language.
func (n *nameBook) full(first, last string) string {
	if n.familyFirst {
		first, last = last, first
	}
	return strings.TrimSpace(first + " " + last)
}

// local makes the part of an address before the @: now and then with a tag, a digit or an underscore, all of which
// are significant.
func (n *nameBook) local(rnd *rand.Rand, first, last string) string {
	f, l := latin(n.first, n.firstLatin, first), latin(n.last, n.lastLatin, last)
	switch rnd.IntN(10) {
	case 0:
		return f + "." + l + "+news"
	case 1:
		return f + "_" + l
	case 2:
		return f[:1] + l + strconv.Itoa(rnd.IntN(1000))
	default:
		return f + "." + l
	}
}

func latin(names, latin []string, name string) string {
	for i := range names {
		if names[i] == name {
			return latin[i]
		}
	}
	return "someone"
}

func (n *nameBook) company(rnd *rand.Rand, i int) string {
	return fmt.Sprintf("%s %d", n.companies[rnd.IntN(len(n.companies))], i+1)
}

func (n *nameBook) title(rnd *rand.Rand) string {
	title, subject := n.titles[rnd.IntN(len(n.titles))], n.subjects[rnd.IntN(len(n.subjects))]
	if n.familyFirst {
		return title + subject
	}
	return title + " " + subject
}
