"""Short support chats in languages that the shared data sets lack, written for this project.

Every chat has a topic of its own, so that the held-out half shares the language with the calibration half, not the
words: even chats calibrate, odd chats are reported. `python bench/texts.py DIR` writes a text file per language, for
`scripts/calibrate_estimator.py`, which takes the even rows of any file.
"""

from __future__ import annotations

import sys
from pathlib import Path

GERMAN = """
Guten Tag, meine Bestellung 48213 sollte am Dienstag kommen, aber die Sendungsverfolgung zeigt seit Tagen nichts Neues.
Das tut mir leid. Das Paket liegt noch im Verteilzentrum Hannover; ich lasse es heute bevorzugt weiterleiten.

Wie ändere ich mein Passwort, wenn ich keinen Zugriff mehr auf die alte E-Mail-Adresse habe?
Bestätigen Sie bitte zuerst Ihre Identität mit dem Ausweis. Danach schicken wir einen Rücksetzlink an die neue Adresse.

Auf der Rechnung vom 3. März steht die Umsatzsteuer doppelt. Können Sie mir eine korrigierte Fassung schicken?
Selbstverständlich, die Buchhaltung hat den Fehler gefunden. Die berichtigte Rechnung geht Ihnen bis morgen früh zu.

Unser Zimmer war laut und die Klimaanlage tropfte die ganze Nacht. Wir möchten einen Teil des Geldes zurück.
Ich verstehe Ihren Ärger gut. Für zwei Übernachtungen erstatten wir Ihnen die Hälfte, ohne dass Sie etwas tun müssen.

Die App stürzt ab, sobald ich ein Foto hochlade. Ich habe sie schon neu installiert, leider ohne Erfolg.
Welche Version des Betriebssystems verwenden Sie? Bei älteren Geräten hilft es, die Bilder vorher zu verkleinern.

Darf mein Sohn nach der Impfung am Schwimmunterricht teilnehmen, oder soll er lieber eine Woche aussetzen?
Wenn er kein Fieber hat, reichen zwei Tage Pause. Fragen Sie im Zweifel die Kinderärztin, bevor er ins Wasser geht.

Welche Unterlagen brauche ich für die Anmeldung eines gebrauchten Wagens aus Österreich?
Sie benötigen die Zulassungsbescheinigung, den Kaufvertrag, eine Versicherungsbestätigung und ein gültiges Gutachten.

Mein Brot wird innen nicht gar, obwohl die Kruste fast schwarz ist. Was mache ich falsch?
Der Ofen ist zu heiß. Backen Sie zehn Minuten bei 240 Grad an und danach noch vierzig Minuten bei 190 Grad weiter.

Ich möchte meinen Handyvertrag kündigen, weil die Geschwindigkeit im Dorf kaum zum Telefonieren ausreicht.
Schade! Die Mindestlaufzeit endet im Oktober; bis dahin können wir den Preis um acht Euro monatlich senken.

Gibt es im Archiv noch Aufnahmen vom Konzert in der alten Fabrikhalle, oder wurden sie längst gelöscht?
Zwei Bänder sind erhalten. Sie lagern im Keller und werden nächstes Jahr mit Spendengeldern digitalisiert.
"""

BULGARIAN = """
Здравейте, поръчах прахосмукачка преди две седмици, но куриерът още не се е обадил. Номерът е 70155.
Извиняваме се за забавянето. Пратката е в склада в Пловдив и ще бъде доставена до петък следобед.

Забравих си паролата, а новият код не пристига по имейл. Проверих и папката за нежелана поща.
Изпратихме го отново на резервния адрес. Ако не го видите до десет минути, обадете ни се по телефона.

Във фактурата за април има грешка: името на фирмата ми е изписано с една буква по-малко.
Благодарим, че забелязахте. Поправеният документ вече е качен във вашия профил и може да го изтеглите.

Стаята миришеше на цигари и прозорецът не се затваряше. Искам да ми върнете парите за първата нощ.
Разбираме ви напълно. Ще възстановим сумата по картата ви, обикновено това отнема три работни дни.

Приложението изключва веднага щом натисна бутона за камерата. Телефонът ми е съвсем нов.
Моля, разрешете достъпа до снимките от настройките. Ако проблемът остане, изпратете ни кратък запис на екрана.

Какво да приготвя за вечеря, ако имам само картофи, сирене и малко кисело мляко?
Направете запеканка: нарежете картофите, залейте ги с млякото и печете четиридесет минути на силна фурна.

Кога започва записването за първи клас и трябва ли детето да дойде с нас в училището?
Документите се приемат от трети юни. Детето не е необходимо да присъства, стига да носите акта му за раждане.

Боли ме кръстът, откакто работя от вкъщи. Струва ли си да купя по-скъп стол?
Първо опитайте да ставате на всеки половин час. Добрият стол помага, но движението помага повече.

Искам да прекратя договора за интернет, защото се местя в друг град следващия месец.
Можем да прехвърлим услугата на новия адрес безплатно. Ако предпочитате да я спрете, ни пишете тридесет дни по-рано.

Има ли влак за морето в събота сутринта и колко струва билетът за двама възрастни с дете?
Първият тръгва в шест и четвърт. За тримата ще платите петдесет и осем лева, а местата се запазват предварително.
"""

JAPANESE = """
先週注文した炊飯器がまだ届きません。注文番号は48213です。いつごろ届くか教えていただけますか。
ご迷惑をおかけして申し訳ございません。現在、配送センターで確認しており、明日の午前中にお届けする予定です。

パスワードを忘れてしまいました。登録したメールアドレスも、もう使っていません。
本人確認ができましたら、新しいアドレスに再設定用のリンクをお送りします。免許証の写真をご用意ください。

請求書の金額が、見積もりより三千円ほど高くなっているようです。内訳を見せてもらえますか。
送料と手数料が二重に計算されていました。訂正した請求書を、今日中にメールでお送りいたします。

部屋のエアコンが動かず、夜はほとんど眠れませんでした。宿泊料金を一部返してほしいです。
大変失礼いたしました。一泊分の料金を、ご利用のカードに返金いたします。手続きは必要ありません。

写真を選ぶと、アプリがすぐに落ちてしまいます。再起動しても直りません。
お使いの機種とバージョンを教えてください。古い端末では、画像を小さくすると改善することがあります。

子どもが初めて自転車に乗ります。どのくらいの大きさを選べばよいでしょうか。
身長に合わせて、両足が地面につくものを選びましょう。ヘルメットも忘れずに用意してください。

味噌汁の味がいつも薄くなります。何かコツはありますか。
だしを濃いめに取り、味噌は火を止めてから溶かします。沸騰させると香りが飛ぶので注意しましょう。

来月引っ越すので、インターネットの契約を新しい住所に移したいです。
承知しました。工事は二週間前までに予約が必要です。ご希望の日を二つほどお知らせください。

図書館で借りた本をなくしてしまいました。弁償しなければなりませんか。
同じ本を買って返していただくか、代金をお支払いください。まずは窓口にご相談ください。

土曜日の朝に海まで行く電車はありますか。大人二人と子ども一人です。
六時十五分発の快速が便利です。座席は予約制ではないので、早めに駅へお越しください。
"""

FRENCH = """
Bonjour, j'ai commandé une lampe il y a dix jours et le suivi indique toujours « en préparation ». Que se passe-t-il ?
Toutes nos excuses. Le fournisseur a pris du retard ; votre colis partira jeudi et vous recevrez un message.

Je n'arrive plus à me connecter : le site refuse mon mot de passe alors que je ne l'ai pas changé.
Votre compte a été bloqué après cinq essais. Cliquez sur « Mot de passe oublié » et suivez les instructions.

La facture n° 2024-117 mentionne deux fois les frais d'installation. Pourriez-vous la corriger ?
Vous avez raison, c'est une erreur de saisie. Un avoir de 45,90 € vous sera envoyé avant la fin de la semaine.

Notre chambre donnait sur un chantier et nous avons été réveillés à six heures tous les matins.
Nous comprenons votre déception. L'hôtel vous offre une nuit supplémentaire, valable jusqu'au mois de décembre.

Depuis la mise à jour, l'application affiche un écran blanc dès que j'ouvre la messagerie.
Essayez de vider le cache dans les réglages. Si cela ne suffit pas, envoyez-nous le modèle de votre téléphone.

Ma pâte à crêpes fait toujours des grumeaux, même quand je la passe au mixeur. Un conseil ?
Versez le lait petit à petit en fouettant, puis laissez reposer une heure. Le repos change vraiment tout.

Quels papiers faut-il fournir pour inscrire ma fille à la cantine de l'école ?
Une attestation d'assurance, un justificatif de domicile et, si besoin, un certificat du médecin pour les allergies.

Je souhaite résilier mon abonnement parce que je pars vivre à l'étranger l'année prochaine.
C'est possible sans frais sur présentation d'un justificatif. Comptez environ trente jours pour la clôture.

Mon chat refuse ses croquettes depuis lundi et il dort beaucoup plus que d'habitude.
S'il ne boit pas non plus, prenez rendez-vous chez le vétérinaire aujourd'hui. Sinon, proposez-lui de la pâtée tiède.

Y a-t-il encore des places pour la visite guidée du château, dimanche après-midi ?
Il en reste quatre à quinze heures. Le tarif réduit s'applique aux étudiants et aux moins de dix-huit ans.
"""

SPANISH = """
Hola, pedí unas zapatillas hace doce días y todavía no me han llegado. El número de pedido es 90417.
Lamento la demora. El paquete salió ayer de Zaragoza y debería estar en su casa el miércoles por la tarde.

No puedo entrar en mi cuenta porque perdí el teléfono donde recibía los códigos.
No se preocupe: podemos verificar su identidad con una llamada y registrar después el número nuevo.

¿Por qué me cobraron dos veces la cuota de mayo? Aquí tengo los dos recibos del banco.
Hubo un fallo en el sistema de pagos. Le devolveremos el importe duplicado en un plazo de cinco días.

La habitación estaba sucia y nadie contestaba en la recepción. ¡Qué vergüenza de hotel!
Tiene toda la razón. Le ofrecemos la devolución completa de la primera noche y un desayuno para dos personas.

Cada vez que intento subir un vídeo, la aplicación se cierra sin mostrar ningún mensaje.
¿Cuánto espacio libre le queda en la memoria? Con menos de un gigabyte suele producirse ese error.

Quiero plantar tomates en el balcón, pero solo tengo sol por la mañana. ¿Merece la pena?
Sí, elija una variedad pequeña y riegue poco, siempre al amanecer. Tendrá frutos hasta bien entrado el otoño.

¿Qué debo llevar a la entrevista de trabajo además del currículum?
Lleve una copia de sus títulos, el documento de identidad y dos o tres preguntas interesantes sobre la empresa.

Mi abuela se marea cuando se levanta deprisa. ¿Debería ir al médico?
Conviene medirle la tensión. Mientras tanto, que se siente un momento en la cama antes de ponerse de pie.

Me gustaría cambiar la dirección de mi contrato de luz, porque me mudo el próximo lunes.
Por supuesto. Necesito la dirección nueva, la lectura del contador y la fecha exacta de la mudanza.

¿A qué hora sale el último autobús hacia la sierra los domingos de invierno?
A las siete y veinte. Si nieva mucho, el servicio se suspende y avisamos en la página web.
"""

RUSSIAN = """
Здравствуйте! Заказала чайник ещё на прошлой неделе, а статус до сих пор «в обработке». Номер 30562.
Приносим извинения. Товар задержался на складе в Казани, доставим его послезавтра до обеда.

Не могу войти в личный кабинет: пишет, что пароль неверный, хотя я его не менял.
Вы пять раз ошиблись при вводе, поэтому вход временно закрыт. Попробуйте снова через полчаса или смените пароль.

В квитанции за июль указана чужая квартира. Что мне теперь делать с этим счётом?
Не оплачивайте его, пожалуйста. Мы уже исправили данные и завтра пришлём правильную квитанцию.

В номере не было горячей воды, а соседи шумели до трёх часов ночи. Требую вернуть деньги.
Нам очень жаль. Мы вернём половину стоимости проживания на вашу карту в течение недели.

После обновления программа зависает, как только я открываю список контактов.
Удалите, пожалуйста, временные файлы и перезагрузите телефон. Если не поможет, пришлите снимок экрана.

Подскажите, чем подкормить огурцы в теплице, если листья начали желтеть по краям?
Скорее всего, им не хватает калия. Разведите золу в тёплой воде и поливайте раз в десять дней.

Какие документы нужны, чтобы записать ребёнка в музыкальную школу?
Заявление, копия свидетельства о рождении и справка от врача. Прослушивание проходит в конце мая.

У меня третий день болит горло, но температуры нет. Можно ли ходить на работу?
Лучше остаться дома и больше пить. Если станет трудно глотать, обязательно покажитесь врачу.

Хочу отключить платную подписку, но не нахожу нужную кнопку в настройках.
Откройте раздел «Услуги», выберите подписку и нажмите «Отменить». Деньги за неиспользованные дни вернутся сами.

Во сколько отправляется первая электричка до города в воскресенье утром?
В пять сорок с третьей платформы. Билеты продаются в автоматах, касса открывается только в семь.
"""

KOREAN = """
안녕하세요, 지난주에 주문한 청소기가 아직 도착하지 않았어요. 주문 번호는 48213입니다.
불편을 드려 죄송합니다. 현재 대전 물류 센터에 있으며 내일 오후까지 배송될 예정입니다.

비밀번호를 잊어버렸는데 인증 메일이 오지 않아요. 스팸 메일함도 확인했습니다.
등록된 주소가 예전 주소로 되어 있습니다. 본인 확인 후 새 주소로 다시 보내 드리겠습니다.

이번 달 요금이 평소보다 두 배나 많이 나왔어요. 자세한 내역을 보고 싶습니다.
해외에서 사용하신 데이터 요금이 포함되어 있습니다. 상세 내역서를 이메일로 보내 드렸습니다.

방이 너무 시끄럽고 에어컨도 고장 나서 한숨도 못 잤어요. 환불해 주세요.
정말 죄송합니다. 하루 숙박 요금을 카드로 돌려 드리고, 다음에 사용하실 할인 쿠폰도 드리겠습니다.

사진을 올리려고 하면 앱이 바로 꺼져요. 다시 설치해도 똑같습니다.
사용하시는 휴대폰 기종을 알려 주세요. 설정에서 사진 접근 권한을 허용하면 해결되는 경우가 많습니다.

김치찌개를 끓이면 항상 너무 짜요. 어떻게 하면 좋을까요?
김치를 물에 살짝 헹구고 두부를 넉넉히 넣어 보세요. 설탕을 조금 넣어도 맛이 부드러워집니다.

아이를 유치원에 보내려면 언제까지 신청해야 하나요? 필요한 서류도 궁금합니다.
십일월 말까지 신청하시면 됩니다. 가족 관계 증명서와 예방 접종 기록을 준비해 주세요.

허리가 아파서 오래 앉아 있기가 힘들어요. 운동을 해도 괜찮을까요?
가벼운 산책부터 시작해 보세요. 통증이 다리까지 내려오면 병원에서 검사를 받으셔야 합니다.

다음 달에 이사를 가는데 인터넷을 새 집으로 옮길 수 있나요?
네, 가능합니다. 원하시는 날짜를 이 주 전에 알려 주시면 기사님이 방문해 설치해 드립니다.

토요일 아침에 바다로 가는 기차가 있나요? 어른 두 명과 아이 한 명입니다.
여섯 시 십오 분에 첫 기차가 출발합니다. 좌석이 빨리 매진되니 미리 예약하시기 바랍니다.
"""

ARABIC = """
مرحبا، طلبت غسالة قبل أسبوعين ولم تصل حتى الآن. رقم الطلب هو 48213.
نعتذر عن التأخير. الشحنة موجودة في المستودع وستصل إلى منزلكم غدا بعد الظهر إن شاء الله.

نسيت كلمة المرور، ولا تصلني رسالة التأكيد على البريد الإلكتروني.
يرجى التحقق من مجلد الرسائل غير المرغوب فيها. وإذا لم تجدها فسنرسلها مرة أخرى إلى هاتفك.

قيمة الفاتورة هذا الشهر أعلى بكثير من المعتاد. هل يمكنني معرفة السبب؟
لقد حدث خطأ في قراءة العداد. سنصحح المبلغ ونرسل لك فاتورة جديدة خلال ثلاثة أيام.

كانت الغرفة باردة جدا ولم يكن هناك ماء ساخن طوال الليل. أريد استرجاع نقودي.
نحن آسفون لما حدث. سنعيد إليك نصف المبلغ على بطاقتك دون أي إجراءات إضافية.

التطبيق يتوقف عن العمل كلما حاولت فتح الكاميرا. أعدت تثبيته مرتين بلا فائدة.
ما نوع هاتفك؟ في الأجهزة القديمة يساعد حذف الملفات المؤقتة وإعادة تشغيل الجهاز.

كيف أحضر الأرز بحيث لا يلتصق بالقدر؟ أجرب منذ شهور ولا أنجح.
اغسل الأرز جيدا وانقعه نصف ساعة، ثم اطبخه على نار هادئة ولا تحركه كثيرا.

ما هي الأوراق المطلوبة لتسجيل ابني في المدرسة الابتدائية؟
شهادة الميلاد، وصورتان شخصيتان، وسجل التطعيمات. يبدأ التسجيل في أول شهر يونيو.

أشعر بألم في ظهري بعد الجلوس الطويل أمام الحاسوب. بماذا تنصحني؟
قم وتحرك كل نصف ساعة، واضبط ارتفاع الكرسي. وإن استمر الألم فراجع الطبيب.

أرغب في إلغاء الاشتراك لأنني سأنتقل إلى مدينة أخرى في الصيف القادم.
يمكننا نقل الخدمة إلى عنوانك الجديد مجانا. وإن كنت تفضل الإلغاء فأخبرنا قبل شهر.

هل توجد رحلة إلى الساحل صباح يوم السبت؟ نحن شخصان بالغان وطفل واحد.
تنطلق الحافلة الأولى في السادسة والربع، ومن الأفضل حجز المقاعد قبل يومين.
"""

TEXTS: dict[str, str] = {
    "German": GERMAN,
    "Bulgarian": BULGARIAN,
    "Japanese": JAPANESE,
    "French": FRENCH,
    "Spanish": SPANISH,
    "Russian": RUSSIAN,
    "Korean": KOREAN,
    "Arabic": ARABIC,
}


def rows(language: str) -> list[str]:
    """Return the chats of `language`, two or three sentences a turn, in order."""
    return TEXTS[language].strip().split("\n\n")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in TEXTS.items():
        (folder / f"{name}.txt").write_text(text.lstrip(), encoding="utf-8")
