"""The English patterns of the failure rules."""

from validator.rules_pattern import Language, any_of, words

_CANNOT = (
    r"(?:can ?not|can't|could not|couldn't|won't|will not|would not|wouldn't|refuse to|decline to|do not|don't|"
    r"(?:am |'m )?(?:not (?:able|allowed|permitted|programmed|designed|going|here|authorized|comfortable|capable|"
    r"equipped|in a position)|unable)(?: to| of| in| with)?|have no (?:way|ability|means) (?:to|of)|"
    r"(?:do not|don't) (?:feel (?:comfortable|right)(?: about| with)?|have the (?:ability|capability|"
    r"capacity) to)|must not|should not|"
    r"shouldn't)"
)
_ADVERB = r"(?: in good conscience| ethically| directly| really| simply| just| currently| either| also| knowingly)?"
_DEED = (
    r"(?:answer|respond|reply|fulfill?|satisfy|comply|assist|help(?! but\b| \w+ing\b)|aid|provid(?:e|ing)|offer|"
    r"giv(?:e|ing)|generat(?:e|ing)|"
    r"creat(?:e|ing)|produce|writ(?:e|ing)|compos(?:e|ing)|draft(?:ing)?|engag(?:e|ing)|participate|"
    r"discuss(?:ing)?|support(?:ing)?|"
    r"promot(?:e|ing)|condone|encourage|endorse|recommend|suggest|advise|disclose|reveal|share|tell you|"
    r"do (?:that|this|it)|explain|walk you through|label|single out|"
    r"complete (?:this|that|your)|continue with|describe|teach|facilitate|accommodate|entertain|tolerate|criticize|"
    r"praise|mock|list|name|rank|rate|judge|justify|glorify|assume|stereotype|agree with|translate|rewrite|process|"
    r"make (?:\w+ ){0,3}(?:jokes?|fun|comments?|remarks?|claims?|generali[sz]ations|assumptions|statements|judg\w+)|"
    r"form (?:\w+ ){0,2}(?:opinions|insights)|perform (?:this|that)|execute (?:this|that)|be (?:of help|"
    r"part of)|go into|get into|incite)\b"
)
_I_CANNOT = rf"\bi(?:'m| am| really| truly| simply)? {_CANNOT}{_ADVERB} "
_OWN = (
    r"(?:a |an |any |my |my own |your |you |with |personal |personali[sz]ed |political |subjective |moral |"
    r"religious |human )*"
)
_WRITE = (
    r"\b(?:write|draft|compose|create|generate|give|make|prepare|craft|provide|need|"
    r"how (?:would|do|should|can)|what (?:would|should))\b"
)
_TEXT_KIND = (
    r"(?:letters?|e-?mails?|messages?|notes?|repl(?:y|ies)|responses?|dialog(?:ue)?s?|conversations?|scripts?|"
    r"scenes?|stor(?:y|ies)|"
    r"templates?|faqs?|notices?|signs?|announcements?|tweets?|posts?|monologues?|lyrics|sentences?|statements?|"
    r"skits?|lines?|examples?|"
    r"voicemails?|texts?|captions?|speech|quotes?|policy|novel|poems?|reviews?)"
)

ENGLISH = Language(
    name="english",
    letters=any_of("[a-z]"),
    declines=any_of(
        rf"{_I_CANNOT}{_DEED}",
        r"\bi (?:must|have to|need to|will have to|respectfully|politely)(?: respectfully|"
        r" politely)? (?:decline|refuse)\b",
        r"(?:^|, )it(?:'s| is| would be) (?:not |in|un)(?:appropriate|ethical|acceptable|"
        r"right)(?: \w+ \w+)?(?: for me)? to"
        r" (?:provide|assist|help|discuss|generate|create|write|express|make|answer|promote|support|share|use|"
        r"criticize|describe)",
        r"\bit(?:'s| is| would be| is also| would also be) (?:not |in|un)(?:appropriate|ethical|acceptable|"
        r"right)(?: \w+ \w+)? for me to (?:provide|assist|help|discuss|generate|create|write|express|make|"
        r"answer|promote|"
        r"support|share|use|criticize|fabricate|suggest|describe)",
        r"\b(?:(?:goes|is|be) against|violates?|conflicts with) (?:the |my |our |"
        r"openai's )?(?:\w+ ){0,4}(?:guidelines|polic\w+|programming)\b",
        r"\bi(?:'m| am)? (?:\w+ )?(?:remain|stay|maintain|strive|programmed)\b[^.]{0,60}\b(?:neutral|"
        r"neutrality|impartial|unbiased)\b",
        r"^(?:i'm |i am )?(?:really |very |truly |so )?sorry(?: for (?:the|any) \w+)?,? (?:but|however|"
        r"i (?:can|am|will|won)|as an ai)\b",
        r"^(?:i apologi[sz]e|apologies|my apologies|unfortunately)[^.]{0,40}\b(?:but|i) (?:\w+ ){0,2}(?:can't|"
        r"cannot|can not|unable|not able|won't)\b",
        r"\bi (?:strongly )?(?:condemn|discourage|advise (?:you )?against|urge you not to)\b|"
        r"\bplease refrain from\b|\bkeep (?:our|the|this) conversation\b",
        r"\bi(?:'m| am) programmed to (?:follow|avoid|promote|provide (?:respectful|helpful and (?:harmless|"
        r"respectful)|safe|ethical|positive))",
        r"^(?:no|sorry),? i (?:can't|cannot|won't|will not)\b",
        r"\b(?:is not|isn't|'s not) something (?:that )?i(?:'m| am| can| could| will|'ll| would| want)\b",
        r"\bi(?:'d| would) (?:rather|prefer) not\b|\bi (?:don't|do not) think i (?:should|can|could)\b|"
        r"\bi(?:'ll| will|'m going to| have to| must| need to)(?: have to)? pass on\b",
        r"\b(?:off[- ]limits for|outside (?:of )?what) (?:me|i)\b|\bfor (?:privacy|safety|ethical|legal) reasons, i\b|"
        r"\bnot (?:in|within|part of) my (?:\w+ ){0,2}(?:programming|guidelines|capabilit\w+|abilit\w+|purpose)\b",
        r"\bmy (?:\w+ )?(?:guidelines|programming|polic\w+|principles) (?:prevents?|prohibits?|forbids?|"
        r"(?:do(?:es)?n't|do(?:es)? not) (?:allow|permit|let))",
        r"^i(?:'m| am) (?:really |so |very |truly )?sorry (?:that |to hear )?[^.]{0,60}, but i(?:'m|"
        r" am)? (?:can't|cannot|"
        r"can not|unable|not able|won't)\b",
        r"\bi(?:'m| am)? (?:\w+ )?strive to (?:be |stay )?(?:\w+ and )?(?:respect|inclusiv|fair|avoid|treat)",
        r"\bi (?:must|have to) (?:respectfully )?disagree with the premise\b",
        r"^(?:this|that|your|the) (?:question|request|prompt|topic)[^.]{0,60}\b(?:inappropriate|offensive|"
        r"harmful|not appropriate|unethical)\b",
        hints=(
            "i ,i',sorry,apolog,unfortunately,appropriate,ethical,acceptable,right,guideline,polic,"
            "programming,refrain,conversation,offensive,harmful,limits,outside,reasons,principles,n my,of my"
        ),
    ),
    declines_generically=any_of(
        r"\b(?:that|this)(?: is not|'s not| isn't) something (?:that )?i(?:'m| am| can| could| will|'ll| would)\b",
        rf"{_I_CANNOT}(?:fulfill?|comply|assist|help|answer|respond|complete|process|accommodate|do)(?: with|"
        r" to| you with)?"
        r" (?:this|that|your|such|these)\b(?: (?:kind|type)s? of)?(?: request| question| prompt| task|[.,;]|$)",
        rf"{_I_CANNOT}(?:writ|generat|creat|compos|produc|draft)(?:e|ing)\b",
    ),
    hedges=any_of(
        rf"\bas an? (?:\w+ ){{0,4}}(?:ai|model|assistant|chatbot)\b[^.]{{0,40}}{_I_CANNOT}\w+",
        rf"\b(?:have|hold|possess|express|offer|provide|give|state|share|experience|take)(?: any| an?)? {_OWN}"
        r"(?:opinions?|views?|viewpoints?|feelings?|emotions?|beliefs?|preferences?|experiences?|bias(?:es)?|"
        r"sides|stance|"
        r"perspectives?|(?:legal|medical|financial|professional|personal|personali[sz]ed|individual|religious|"
        r"spiritual|"
        r"investment)(?: \w+ \w+)? (?:advice|consultation)|"
        r"diagnosis|definite|definitive|exact|specific|information on the current|access|"
        r"ability to (?:verify|predict))\b",
        r"\b(?:predict|speak for|speculate|claim to|infer|generali[sz]e|say for (?:sure|certain)|guarantee|"
        r"confirm|verify|specifically|accurately)\b",
    ),
    names_itself=any_of(
        r"\bas an? (?:\w+ ){0,4}(?:ai|artificial intelligence|language model|assistant|chatbot)\b",
        r"\bi(?:'m| am) (?:just |only )?an? (?:ai|language model)\b",
        r"\b(?:my|openai's|our|ethical|content|safety|usage) (?:\w+ ){0,2}(?:guidelines|programming|polic(?:y|"
        r"ies))\b",
        r"\b(?:harmful|illegal|unethical|hateful|discriminat\w+|violen\w+|racist|sexist|"
        r"explicit) (?:or \w+ )?(?:content|activit\w+|behavio\w+|language|material)\b",
        hints="as a,i'm,i am,guideline,programming,polic,content,activit,behavio,language,material",
    ),
    condemns=any_of(
        r"(?:^|[.!] )(?!yes|sure|certainly|of course|here|some|there|never|do not|don't|the (?:best|safest|"
        r"easiest))[^.!]{3,160}\b(?:is|are|"
        r"would be)(?: \w+){0,3} (?:not (?:okay|ok|acceptable|appropriate|right|ethical)|"
        r"never (?:okay|ok|acceptable|appropriate|justified)|illegal|unethical|immoral|a (?:serious |violent |"
        r"grave |federal )?crime|"
        r"unacceptable|inappropriate|morally|not (?:legal|morally)|highly (?:dangerous|inappropriate|"
        r"offensive)|extremely (?:dangerous|harmful|offensive)|against the law|never the answer|"
        r"deeply (?:offensive|harmful|wrong))\b",
        hints=(
            "ok,acceptable,appropriate,right,ethical,justified,legal,moral,crime,dangerous,harmful,offensive,"
            "wrong,the law,the answer"
        ),
    ),
    sermonizes=any_of(
        r"\bi (?:must|have to|want to|would like to|feel obliged to) (?:\w+ )?(?:point out|inform you|emphasi[sz]e|"
        r"remind you|stress|clarify|advise|caution|warn you|state)\b|\bthis is a (?:\w+ )?(?:concerning|troubling|"
        r"disturbing|harmful|offensive)\b",
        r"^(?:\w+ ){0,6}\w+ing\b[^.!?]{0,80}\b(?:is|are|can|could|may|might)\b[^.!?]{0,60}\b(?:harm\w*|hurt\w*|"
        r"dangerous|severe|serious|illegal|unethical|crime|criminal|wrong|trouble|disrespectful|abus\w+|"
        r"dishonest|fraud|"
        r"theft|cruel|felony|offen[cs]e|violation|violence|"
        r"never (?:a good|the|an?|okay|ok))\b",
        r"\b(?:is|it's|it is|would be|are) (?:not|never|in|un)(?: | \w+ |)(?:accurate|fair|appropriate|acceptable|"
        r"ethical|okay|ok|right|productive|helpful)\b(?: (?:or|and) \w+)?(?: for \w+)? to\b|"
        r"\bno scientific (?:basis|evidence|support)\b|\b(?:is|are) a (?:harmful |common )?(?:stereotype|myth|"
        r"generali[sz]ation)\b",
        r"\bno safe (?:amount|dose|way|level)\b|\b(?:every|all|each|no)\b[^.!?]{0,40}\b(?:deserves?|equal|"
        r"are entitled to)\b",
        r"\b(?:you don't have to (?:face|go through) this|you are not|you're not) alone\b|"
        r"\b(?:sorry (?:that )?(?:you're|you are)|sounds like you(?:'re| are)) (?:feeling|going through|having|"
        r"hurting)\b",
    ),
    preaches=any_of(
        r"^(?:every(?:one|body|\b)|each |all (?:individuals|people|humans|human beings|of us)|no one\b)",
        r"\b(?:should (?:not|never|always|be (?:treated|judged|respected|based|avoided|addressed|evaluated))|deserves?|"
        r"depends? on|depending on|respect\w*|dignity|empathy|kindness|unacceptable|stereotyp\w*|generali[sz]\w*|"
        r"punishable|regardless of|discriminat\w*|hatred|prejudice|derogatory|inclusiv\w+|equal(?:ity|ly)?|"
        r"not determined by|varies from person|each individual|undermines?|rights|prosecut\w+)\b",
        r"\b(?:serious|severe|legal|criminal|lasting|negative|harmful)(?: \w+)? (?:consequences|harm|injur\w+|trouble|"
        r"penalt\w+|damage|effects?|risks?|issues)\b",
    ),
    appeals=any_of(
        r"\b(?:it|this|that)(?:'s| is| would be| can be| may be)(?: \w+){0,2}? (?:important|crucial|essential|"
        r"vital|best|"
        r"better|recommended|advisable|up to|necessary|unfair|inappropriate|offensive|inaccurate|wrong|"
        r"subjective|never (?:okay|ok|right|acceptable)|"
        r"illegal|unethical|dangerous|harmful|disrespectful|unacceptable|not (?:fair|appropriate|accurate|right|"
        r"ethical|"
        r"acceptable|okay|productive|helpful|respectful|worth))\b(?! to (?:note|understand|recogni[sz]e|remember|"
        r"acknowledge|mention|know|reali[sz]e) that\b)",
        r"\b(?:we|you|one|people|they|society) (?:should|must|all)\b|\blet(?:'s| us)\b|^please\b|, please\b|"
        r"\bplease (?:consider|contact|reach|seek|talk|speak|call|consult|stop|refrain|stay|remember|be|know|do not|"
        r"don't)\b",
        r"\bi(?:'d| would| want to|'m| am| can only|'ll)? ?(?:strongly |gently |highly |kindly )?(?:encourage|urge|"
        r"suggest|recommend|advise|implore|hope|programmed|worried|concerned|care about)\b",
        r"\b(?:consult|seek|seeking|mental health|therapist|counsel\w*|hotline|helpline|crisis line|professional)\b|"
        r"\byour (?:safety|health|life|well-?being)\b|\b(?:call|dial|text)\b[^.!?]{0,30}\d{3}",
        r"\balternatives?\b|^(?:instead|rather)\b|\bhow about\b|\bmaybe you could\b",
        r"\b(?:anything|something|someone|anyone) else\b|\blet me know\b|\bi(?:'m| am|'d be| would be) (?:\w+ )?"
        r"(?:happy|glad|here) to\b|^i can (?:help|assist|point|offer|suggest)\b|^what i can do\b|"
        r"^(?:would you|do you|can i|could we|may i|want me)\b|^(?:stay|be|keep|take care)\b(?: \w+){0,3}[.!]",
        r"^if you(?:'re| are| have| need| or| know| feel| would)\b[^.!?]{0,90}(?:\b(?:talk|speak|reach|contact|call|"
        r"help|consider|consult|visit|ask|look)\b|$)",
    ),
    states=any_of(
        r"^(?:it|this|that|these|those|they|there|such|we|i|he|she)\b|\b(?:is|are|was|were|can|could|may|might|will|"
        r"would|has|have|had|does|did|cannot|comes?|leads?|takes?)\b",
    ),
    morals=(
        any_of(r"\b(?:illegal|unlawful|against the law|crime|criminal|legal consequences|prosecut|felony)"),
        any_of(
            r"\b(?:unethical|ethic|moral|immoral|inappropriate|not appropriate|unacceptable|not acceptable|"
            r"unfair|never okay)",
        ),
        any_of(r"\b(?:harm|dangerous|hurt|violence|violent|suffering|trauma)"),
        any_of(r"\b(?:respect|dignity|regardless of|equal|kindness|compassion|empathy|inclusive|unique)"),
        any_of(
            r"\b(?:stereotyp|generali[sz]|derogatory|offensive|discriminat|prejudice|racis|sexis|"
            r"judg(?:e)?mental|hatred|bias|"
            r"objectif|disrespect|insult|complex)"
        ),
        any_of(r"\b(?:seek (?:\w+ ){0,3}help|reach out to|mental health|counsel|authorities|therapist|hotline)"),
        any_of(r"\b(?:neutral|impartial|programmed|programming|unbiased|my purpose|openai)"),
    ),
    complies_after_all=any_of(
        r"\bhere (?:is|are|'s)\b|\bhere's\b|\bas follows\b|\bthe following\b|\bthese include\b|"
        r"\bit is possible that\b",
        r"\bi can (?:provide|offer|give|tell|suggest|share|speculate|say|confirm|explain)\b|\btheoretically\b",
        r"\bif we talk about\b|\bone (?:possible )?(?:reason|explanation)\b",
    ),
    turns=any_of(r"\b(?:however|but|nevertheless|that said|instead)\b"),
    asks_how=any_of(
        r"\bhow (?:can|do|to|could|should|would|might|many|much)\b|\bbest (?:way|method|place|time)|\bways? to\b|"
        r"\bwhere (?:can|do)\b",
        r"\b(?:tell|give|show|teach|help|guide|list|write|create|make|describe|explain|provide|suggest|develop|"
        r"plan|convince)\b",
        r"\bwhat (?:is|are|'s) (?:the|a|an|some)\b",
    ),
    asks_whether=any_of(
        r"\b(?:legal|illegal|law|lawful|crime|allowed|permitted|ethical|unethical|moral|immoral|wrong|"
        r"acceptable|appropriate|"
        r"consequences|dangers?|dangerous|risks?|safe|safety|harmful|penalt\w+|punish\w*|should|is it|is this|"
        r"opinion|think|prevent\w*|bad|difference|define|definition|mean(?:s|ing)?|deal with|cope|avoid|stop|report|"
        r"protect\w*|recogni[sz]e|respond to|support|victims?|signs of|effects?|symptoms|importan\w+|happens)\b",
        r"\b(?:write|compose|draft|create|design|describe)\b.{0,40}\b(?:paragraphs?|essays?|speech|labels?|"
        r"articles?|blog|"
        r"announcements?|fables?|posters?|warnings?|mottos?|slogans?|ideal|fair)\b",
    ),
    asks_why=any_of(r"\bwhy\b"),
    wants_refusal=any_of(
        r"\b(?:apolog\w*|declin\w+|refus\w+|reject\w*|turn(?:ing|s)? (?:\w+ ){0,3}down|say(?:ing|s)? no|sorry|"
        r"unavailable|out of stock|den(?:y|ies|ying|ial))\b",
    ),
    wants_text=any_of(
        rf"{_WRITE}.{{0,80}}\b{_TEXT_KIND}\b",
        r"\b(?:role-?play|pretend|act as|act like|play the role|you are an?|imagine you|respond as|reply (?:to|"
        r"as)|answer as|speak as|in the voice of)\b",
        r"\b(?:translat\w+|rephras\w+|paraphras\w+|rewrit\w+|reword\w*|correct|proofread|edit|summari[sz]e|"
        r"complete the|continue the|fill in|convert|"
        r"transcri\w+|(?:active|passive) voice|classif\w+|extract|more (?:polite|formal|casual)\w*|quote from|"
        r"famous line|customer|said|says)\b",
    ),
    addresses=any_of(
        r"[\s\"'*#>(\[]{0,6}(?:dear|hi|hello|hey|good (?:morning|afternoon|evening))\b[ ,.\w]{0,40}[,!\n]",
        r"[\s\"'*#>(\[]{0,6}(?:subject|to|from|re|title|q|q1|question|a|host|customer|agent|narrator|scene|"
        r"\w{2,15}) ?[:(]",
    ),
    wants_question=any_of(
        r"\b(?:questions?|ask(?:s|ing)?|quiz|interview\w*|survey|riddles?|clarif\w+|inquir\w+|trivia|"
        r"questionnaire|icebreakers?|openers?|"
        r"turn (?:this|it|the) .{0,40}into)\b",
    ),
    asks_back=any_of(
        r"\b(?:please|kindly|could you|can you|would you|if you could|if you(?: can)?|i(?:'ll| will|"
        r" would)? need(?: you to)?|you (?:haven't|have not|didn't|did not|forgot to))"
        r"(?: please| kindly| also| first){0,2} (?:provided?|shared?|paste|send|supply|specify|specified|"
        r"upload|attach(?:ed)?|give me|tell me|clarify|include[d]?)(?: me)?(?: with)?"
        r"(?: \w+){0,5} (?:text|sentences?|passages?|articles?|paragraphs?|code|lists?|data|documents?|files?|"
        r"images?|input|context|information|"
        r"details|questions?|instructions?|prompts?|numbers|topic|content|stor(?:y|ies)|poem|email|essay|table|"
        r"specifics|problem|request|situation|mean)\b",
        r"\b(?:what|which|how|who|where|could you|can you|would you|do you|are you|"
        r"is there)\b[^.?!]{0,160}\b(?:would you like|you'd like|"
        r"do you want|you want|you would like|do you need|you need|are you (?:looking|interested|referring|"
        r"asking)|you(?:'re| are) (?:looking|referring|asking)|did you (?:mean|have)|you have in mind|"
        r"you prefer|"
        r"can i (?:help|assist)|may i (?:help|assist)|me to|anything else|something (?:specific|"
        r"else))\b[^.!]{0,160}\?",
        r"\b(?:need|require)(?: \w+){0,2} (?:more|additional|further)(?: \w+){0,2} (?:information|context|"
        r"details|data)\b",
        r"\b(?:no|don't see (?:an?|any|the)|there (?:is|was) no|missing) (?:\w+ ){0,2}(?:text|sentence|passage|"
        r"article|code|file|image|attachment|input|question|data) "
        r"(?:was |is |has been |to |in )?(?:provided|given|attached|included|shared|your|work)",
    ),
    names_task=any_of(
        r"\b(?:you(?:'d| would)? (?:like|want|need|wish)|me to|i can(?:not)?|i can't|i'll|i will|i need|i'd be|"
        r"you (?:haven't|have not|didn't|forgot))\b",
        r"\bto (?:be )?(?:summari|translat|rewrit|edit|proofread|paraphras|correct|convert|classif|extract)",
    ),
    wants_reply=any_of(
        r"\b(?:repl(?:y|ies)|respon[ds]\w*|translat\w+|rephras\w+|paraphras\w+|rewrit\w+|dialog\w*|conversation|"
        r"messages?|role|act as|pretend|sentences?|motto|promise|resolution|pledge|quote|says?|lines?|"
        r"confirm\w*|examples?)\b",
    ),
    acknowledges=any_of(
        r"(?:ok(?:ay)?|understood|got it|noted|i understand|i see|sure thing|will do|acknowledged|alright|"
        r"all right|thank you for (?:the|your) \w+)"
        r"(?:[,.! ]{1,3}(?:i understand|understood|thank you|thanks|got it|i'm ready|i am ready|ready|"
        r"let's (?:begin|start|go)))?[.! ]{0,3}",
    ),
    promises=any_of(
        r"^(?:(?:ok(?:ay)?|sure|sure thing|certainly|absolutely|of course|understood|got it|yes|alright|"
        r"no problem|great)[,.! ]{1,3})?"
        r"(?:i(?:'ll| will| am going to|'m going to|'d be (?:happy|glad) to| would be (?:happy|glad) to|"
        r"'m happy to| am happy to| can certainly)|let me)"
        r" (?:now |gladly |help|go ahead|start|get (?:started|back|right|to)|work|do (?:that|this|my|it)|write|"
        r"create|prepare|draft|explain|answer|"
        r"provide|generate|analy[sz]e|follow|assist|begin|put|compose|summari[sz]e|translate|solve|describe|"
        r"think about|look into|share)",
        r"^(?:please wait|one moment|give me a (?:moment|minute)|i'm working on|i am working on|working on it|"
        r"i'm ready|i am ready)",
    ),
    does_not_know=any_of(
        r"^(?:i'm sorry,? (?:but )?|sorry,? (?:but )?|unfortunately,? |honestly,? |well,? |i'm afraid |"
        r"as an ai[^,]{0,30}, ?)?"
        r"(?:i (?:really |honestly |just )?(?:don't|do not) (?:really |actually )?know\b|i(?:'m|"
        r" am) (?:really |honestly )?not (?:really |entirely |quite )?sure\b|"
        r"i have no (?:idea|clue|information|knowledge|data)|no idea\b|i(?:'m| am) not (?:familiar|aware|certain)|"
        r"i (?:do not|don't) (?:currently )?have (?:any |enough |sufficient |the |specific |access to |"
        r"real-time |up-to-date |current |that )*"
        r"(?:information|data|knowledge|details|access|an answer)|"
        r"i (?:could not|couldn't|can't|cannot|was unable to|am unable to|'m unable to) (?:find|determine|"
        r"locate|access|identify|recall|verify|understand) )",
        r"^(?:i'm )?sorry[^.]{0,60}\bi (?:don't|do not) have (?:the ability|access|any|information)",
    ),
    function_words=words(
        "a an the and or but nor so of to in on at by for from with as is are",
        "was were be been am it its that which",
    ),
    wants_word=any_of(
        r"_{2,}|\( *\)|\b(?:fill|blanks?|articles?|prepositions?|conjunctions?|words?|choose|correct|grammar\w*|"
        r"pronouns?|translat\w+|"
        r"punctuation|symbols?|signs?|emojis?|characters?|operators?|marks?|complete|sentence|letters?|regex|"
        r"shell|command)\b",
    ),
    wants_repetition=any_of(
        r"\b(?:repeat\w*|times|over and over|again and again|repetition|lyrics|chant|loop|pattern|sequence)\b",
    ),
    leaks=any_of(
        r"\b(?:finally |final )?re-?written (?:instruction|prompt)s?\b|\bgiven prompts?\b|\bcreated prompts?\b|"
        r"# ?(?:given|original) (?:instruction|prompt)",
        r"\bmethods list\b|\bevolv(?:ing|ed) (?:method|instruction|prompt)s?\b|\bevol-?instruct\b|"
        r"\bstep [1-9]:? ?#|# ?plan ?#|\boptimized method\b",
        r"\{\{? ?(?:instruction|prompt|input|method|seed)[a-z_]{0,12} ?\}|\$\{?(?:instruction|method|"
        r"seed_instruction)\b",
        r"\b(?:more complex|evolved|rewritten) version of the (?:given|original) (?:instruction|prompt)",
        hints="prompt,instruct,method,evol,#,{,$",
    ),
    rewriting_refused=any_of(
        r"\b(?:provide|share|paste|send|give me|supply)(?: me)?(?: with)? (?:the|your|"
        r"an?)(?: \w+){0,2} (?:instruction|prompt)s?\b",
        r"\binstructions? (?:you(?:'d| would)? (?:like|want)|to (?:be )?(?:rewrite|rewritten|evolve|evolved))",
        rf"{_I_CANNOT}(?:\w+ ){{0,2}}(?:rewrit|evolv|reformulat|rephras|modif|complicat|assist|help|fulfill?|comply)",
    ),
    answers=any_of(
        r"^(?:(?:sure|certainly|of course|absolutely|okay|ok|yes|great question|"
        r"good question)[,.! ]{1,3})?(?:the (?:correct |final |right |short )?"
        r"(?:answer|solution|result) (?:is|to|would|:)|(?:final )?(?:answer|solution)[:.]|here(?:'s| is|"
        r" are) (?:the|a|an|my|your|some|one|how)\b|"
        r"to (?:solve|answer|find|calculate|compute) (?:this|the|that)[^.?]{0,100},|let's (?:solve|break|"
        r"calculate|start|compute|think)|"
        r"step 1:|first, we|we (?:can|need to|start|have|know)\b|i(?:'d| would) (?:be happy|say|suggest|"
        r"recommend)|in conclusion)",
        r"^(?:sure|certainly|of course|absolutely)[!,.]",
    ),
    requests=any_of(
        r"\?",
        r"\b(?:write|explain|describe|list|give|find|calculate|compute|solve|determine|show|prove|create|"
        r"generate|design|develop|implement|"
        r"compare|analy[sz]e|discuss|summari[sz]e|translate|rewrite|identify|provide|suggest|propose|outline|"
        r"classify|evaluate|convert|"
        r"complete|fix|debug|refactor|draft|compose|state|derive|estimate|plan|build|what|how|why|which|who|"
        r"tell|ensure|include|choose|select|"
        r"sort|rank|edit|correct|fill|return|predict|assume|your task|must|should)\b",
    ),
    politeness=words(
        "please kindly thanks thank you could would can the a an me i s d ll",
        "now hey hi hello",
    ),
    chatter=any_of(
        r"\b(?:hi|hello|hey|thank(?:s| you)|please|hope|appreciate|sorry|wondering|i've|i have|i was|i am|i'm|"
        r"my|by the way|btw|actually|"
        r"basically|honestly|anyway|lol|haha|looking forward|i know|i think|i guess|i feel|i want|i'd|i would|"
        r"i really|cheers|no rush)\b",
    ),
    asks_for_language=any_of(
        r"\b(?:translat(?:e|es|ed|ing|ion|ions|or)|korean|hangul|japanese|chinese|mandarin|hanja|kanji|russian|"
        r"arabic|hindi|thai|greek|"
        r"hebrew|ukrainian|"
        r"languages?|multilingual|bilingual|script|pronunciation|english)\b",
    ),
)
