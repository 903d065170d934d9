"""Function words of widespread languages: articles, pronouns, prepositions, auxiliaries, words of asking.

They are in every task and say little about which skill is meant. Written down rather than counted, as a catalogue of seven skills is too small
to count in. A word that names a thing in another of these languages (`van`, `bin`, `war`) is left out. They are weighed less, never ignored: in
examples, "how do I" and "is there" do carry meaning. Folded as `words.cut` folds.
"""

from __future__ import annotations

BY_LANGUAGE = {                        # as texts, to be read by people; Chinese, Japanese and Korean in the characters and pairs of `words.cut`
    "English":
        "a an the this that these those and or but if then else so as of in on at by for from to with without about into onto over under up "
        "down out off than too very just also only even any some all each every both either neither no not nor yes i me my mine myself we us "
        "our ours you your yours he him his she her hers it its itself they them their theirs who whom whose which what when where why how "
        "is are was were be been being am do does did doing done don doesn didn isn aren wasn weren haven hasn hadn won wouldn shouldn "
        "couldn can cannot could may might must shall should will would have has had having there here now again more most much many other "
        "another such own same please thanks let lets got get want wants need needs like using use used via per etc eg ie",
    "Spanish, Portuguese":
        "el la los las un una unos unas lo al del de y o u e ni que en con sin por para como mas pero si no se su sus mi mis tu tus me te le "
        "les nos es fue ser estar esta este esto estos estas ese esa eso hay muy ya cual cuales quien donde cuando cuanto he ha han puede "
        "puedes quiero favor as um uma uns umas do da dos das na nas ao aos em sem meu minha seu sua voce eu ele ela isso isto quero pode ou "
        "nao sim foi sao",
    "French, Italian":
        "le la les un une des du de et ou mais donc ni que qui quoi dont en dans sur sous avec sans par pour comme plus ne pas se sa ses mon "
        "ma mes ta tes notre nos votre vos leur leurs je tu il elle on nous vous ils elles ce cet cette ces ca est sont suis es etre as ont "
        "avoir peut peux veux y au aux quel quelle quels quelles lo gli i uno una di a da in con su per tra fra e o che chi non mi ti si ci "
        "vi mio tuo suo del della dei delle dello al alla nel nella sono sei ho hai ha puoi voglio questo questa quello come cosa",
    "German, Dutch":
        "der die das den dem des ein eine einen einem einer eines und oder aber wenn dann als wie so von im in am an auf aus bei nach zu zum "
        "zur um uber unter vor fur durch gegen ohne ist sind waren sein bist haben habe hast wird werden kann kannst konnen mochte will soll "
        "muss darf nicht kein keine ich mich mir mein meine meinen du dich dein deine er sie es ihn ihm ihr ihre wir uns unser euch was wer "
        "wo wann warum welche welcher welches diese dieser dieses bitte noch auch nur schon het een en of maar op te voor door naar bij uit "
        "over niet geen ik mij mijn jij je jouw hij zij wij we ons jullie dit dat deze zijn bent heeft heb kan kun wil moet wat waar wanneer "
        "hoe welke",
    "Russian":
        "и в во не что он на я с со как а то все она так его но да ты к у же вы за бы по ее мне есть нет о из ему если или ни быть был до "
        "вас они для мы их чем мой моя мои твой это эта этот эти там где когда какой какая какие сколько можно нужно пожалуиста меня тебя "
        "нас при об от без под над",
    "Turkish, Arabic":
        "bir bu su o ve veya ile icin de da mi ne nasil nerede zaman hangi kac sen biz siz onlar benim bana beni var yok mu lutfen gibi daha "
        "cok en في من على الى عن مع هل ما ماذا متى اين كيف كم هذا هذه ذلك التي الذي ان او و لا يا هو هي انا انت نحن كل",
    "Indonesian":
        "yang di ke dari untuk dengan pada ini itu atau tidak bukan ada adalah saya aku kamu anda dia kami kita mereka apa siapa mana kapan "
        "bagaimana berapa bisa akan sudah tolong dong nya buat juga",
    "Chinese, Japanese, Korean":
        "的 了 是 在 我 你 他 她 它 们 这 那 有 和 与 或 把 被 就 都 也 还 很 吗 呢 吧 啊 请 給 给 帮 幫 个 個 一 不 要 会 會 能 可 以 到 为 "
        "為 什 么 麼 怎 我的 你的 一个 一個 一下 这个 那个 這個 什么 什麼 怎么 怎麼 帮我 幫我 请帮 给我 可以 是否 我要 我想 想要 需要 を に "
        "は が の で と も へ や か ます です した して する ませ せん くだ ださ さい てく から まで より こと これ それ この その たい いま "
        "っと 해줘 주세 세요 하는 에서 으로 이거 그거 하고 해주 합니 니다 어떻 떻게",
}

FUNCTION_WORDS = frozenset(word for text in BY_LANGUAGE.values() for word in text.split())
