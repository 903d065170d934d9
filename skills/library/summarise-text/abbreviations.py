"""Words before a full stop that does not end a sentence, in a dozen European languages. Data only.

ENDABLE are abbreviations that may stand at the end of a sentence: before a capital they end it. MONTHS follow ordinals (3. Oktober).
"""

from __future__ import annotations

ABBREVIATION_TEXT = """
mr mrs ms dr prof st rev hon gen col lt sgt capt cmdr gov sen rep pres supt messrs vs cf e.g i.e eg ie viz al approx dept est fig figs vol
vols no nos pp p ed eds trans ch sec art jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur fri sat sun ave blvd rd
mt ft incl max min tel ext z.b d.h u.a u.ä o.ä s.o s.u i.d.r bzw vgl ca evtl ggf inkl zzgl abs nr str hr fr frl dipl ing geb gest abb bd
hrsg jh mio mrd tsd usf sog allg bes m mm mme mlle me mgr av boul env éd p.ex c.-à-d n° sr sra srta dra d.ª ud uds vd p.ej núm pág págs cap
aprox avda izq dcha ee.uu sig sig.ra dott prof.ssa avv geom ecc pag n exmo exma eng dr.ª dhr mevr drs ir bijv o.a d.w.z enz m.a.w t.ex bl.a
d.v.s osv kl dvs f.eks np tzn itp tj ul św im red г гг ул им т.е т.д т.п т.к др проф акад тыс млн млрд руб см рис стр
"""
ENDABLE_TEXT = """
etc usw inc ltd co corp jr bros llc plc gmbh a.m p.m u.s u.k u.n e.v ph.d m.d b.a m.a d.c i.e.s enz osv itp т.д т.п др
"""
MONTH_TEXT = """
januar februar märz april mai juni juli august september oktober november dezember jänner januari februari maart mei augustus marts maj
desember stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia jahrhundert jahrhunderts klasse
auflage kapitel stock etage ledna února března dubna května června července srpna září října listopadu prosince
"""

ABBREVIATIONS = frozenset(ABBREVIATION_TEXT.split())
ENDABLE = frozenset(ENDABLE_TEXT.split())
MONTHS = frozenset(MONTH_TEXT.split())
