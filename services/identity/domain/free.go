package domain

import "strings"

// wellKnown are the domains of providers that give addresses to anybody, and of mobile carriers and internet providers, who give
// them to their customers.
var wellKnown = setOf(`
	gmail.com googlemail.com outlook.com outlook.jp hotmail.com hotmail.co.jp hotmail.co.uk hotmail.fr hotmail.de live.com
	live.jp live.co.uk msn.com passport.com yahoo.com yahoo.co.jp yahoo.co.uk yahoo.co.in yahoo.fr yahoo.de yahoo.ca ymail.com
	ymail.ne.jp rocketmail.com icloud.com me.com mac.com aol.com aim.com gmx.com gmx.de gmx.net web.de t-online.de freenet.de
	mail.com mail.ru inbox.ru list.ru bk.ru yandex.ru yandex.com ya.ru rambler.ru ukr.net proton.me protonmail.com pm.me
	tutanota.com tuta.com tuta.io fastmail.com fastmail.fm hey.com zoho.com zohomail.com hushmail.com inbox.com
	qq.com foxmail.com 163.com 126.com yeah.net sina.com sina.cn sohu.com 139.com 189.cn aliyun.com
	naver.com daum.net hanmail.net nate.com kakao.com rediffmail.com
	orange.fr wanadoo.fr free.fr laposte.net sfr.fr libero.it virgilio.it tiscali.it alice.it
	comcast.net verizon.net att.net sbcglobal.net bellsouth.net cox.net charter.net earthlink.net btinternet.com sky.com
	virginmedia.com talktalk.net telstra.com bigpond.com optusnet.com.au uol.com.br bol.com.br terra.com.br
	docomo.ne.jp ezweb.ne.jp softbank.ne.jp softbank.jp vodafone.ne.jp disney.ne.jp willcom.com ymobile.ne.jp uqmobile.jp
	rakumail.jp rakuten.jp excite.co.jp goo.jp infoseek.jp livedoor.com nifty.com biglobe.ne.jp so-net.ne.jp ocn.ne.jp plala.or.jp
	dion.ne.jp auone.jp asahi-net.or.jp hi-ho.ne.jp wakwak.com dti.ne.jp sannet.ne.jp eonet.ne.jp zaq.ne.jp jcom.home.ne.jp
	au.com aol.jp kyoto.zaq.jp tcn-catv.ne.jp
	mailinator.com guerrillamail.com 10minutemail.com yopmail.com trashmail.com sharklasers.com
`)

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(words) {
		set[word] = true
		if own := registrable(word); own != "" {
			set[own] = true
		}
	}
	return set
}
