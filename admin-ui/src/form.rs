//! Forms as values: fields with their help, their error and what was entered.

use askama::Template;

/// One choice of a select.
#[derive(Clone, Debug)]
pub struct Choice {
    pub value: String,
    pub label: String,
}

impl Choice {
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into() }
    }
}

/// The kind of control that a field is entered with.
#[derive(Clone, Debug)]
pub enum Control {
    Text,
    Search,
    /// Never shows what was entered.
    Password,
    /// A stored secret: shows whether there is one, never which.
    Secret {
        is_set: bool,
    },
    Number {
        min: i64,
        max: i64,
    },
    /// A file; its form is an [`Form::upload`].
    File,
    Date,
    /// Hours and minutes.
    Time,
    Area {
        rows: u8,
    },
    Select(Vec<Choice>),
    /// Sends `on` or nothing.
    Check,
}

/// One field of a form.
#[derive(Clone, Debug, Template)]
#[template(path = "field.html")]
pub struct Field {
    name: String,
    id: String,
    label: String,
    control: Control,
    value: String,
    help: Option<String>,
    default: Option<String>,
    error: Option<String>,
    autocomplete: Option<&'static str>,
    optional: bool,
    code: bool,
}

impl Field {
    pub fn new(name: impl Into<String>, label: impl Into<String>, control: Control) -> Self {
        let name = name.into();
        Self {
            id: format!("f-{name}"),
            name,
            label: label.into(),
            control,
            value: String::new(),
            help: None,
            default: None,
            error: None,
            autocomplete: None,
            optional: false,
            code: false,
        }
    }

    /// What is entered now.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What holds when nothing is entered.
    #[must_use]
    pub fn default_is(mut self, value: impl Into<String>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// A sentence that says what to do about what was entered.
    #[must_use]
    pub fn error(mut self, error: Option<String>) -> Self {
        self.error = error;
        self
    }

    #[must_use]
    pub fn autocomplete(mut self, token: &'static str) -> Self {
        self.autocomplete = Some(token);
        self
    }

    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// A name of the machine's, not a word: no capitals, no spelling.
    #[must_use]
    pub fn code(mut self) -> Self {
        self.code = true;
        self
    }

    /// Makes the id differ from that of a field of the same name elsewhere on the page.
    #[must_use]
    pub fn within(mut self, place: &str) -> Self {
        self.id = format!("f-{place}-{}", self.name);
        self
    }

    /// The attributes by which help and error belong to the control.
    fn described(&self) -> String {
        let mut ids = Vec::new();
        if self.error.is_some() {
            ids.push(format!("{}-error", self.id));
        }
        if self.help.is_some() {
            ids.push(format!("{}-help", self.id));
        }
        let described = if ids.is_empty() {
            String::new()
        } else {
            format!(" aria-describedby=\"{}\"", ids.join(" "))
        };
        let invalid = if self.error.is_some() { " aria-invalid=\"true\"" } else { "" };
        described + invalid
    }

    /// That a search may be empty needs no saying.
    fn shows_optional(&self) -> bool {
        self.optional && !matches!(self.control, Control::Search)
    }

    fn attributes(&self) -> String {
        let mut attributes = self.described();
        if let Some(token) = self.autocomplete {
            attributes.extend([" autocomplete=\"", token, "\""]);
        }
        if self.code {
            attributes.push_str(" autocapitalize=\"none\" spellcheck=\"false\"");
        }
        if !self.optional && !matches!(self.control, Control::Secret { .. } | Control::Select(_)) {
            attributes.push_str(" required");
        }
        attributes
    }
}

/// How much a button weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    Primary,
    Plain,
    Quiet,
    Danger,
}

impl Weight {
    fn class(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Plain => "",
            Self::Quiet => "quiet",
            Self::Danger => "danger",
        }
    }
}

/// A form with one button.
#[derive(Clone, Debug, Template)]
#[template(path = "form.html")]
pub struct Form {
    action: String,
    csrf: Option<String>,
    hidden: Vec<(String, String)>,
    fields: Vec<Field>,
    submit: String,
    /// What the button is for, said after its text to those who do not see what it stands beside.
    submit_of: Option<String>,
    weight: Weight,
    cancel: Option<String>,
    inline: bool,
    upload: bool,
    download: bool,
}

impl Form {
    pub fn new(action: impl Into<String>, submit: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            csrf: None,
            hidden: Vec::new(),
            fields: Vec::new(),
            submit: submit.into(),
            submit_of: None,
            weight: Weight::Primary,
            cancel: None,
            inline: false,
            upload: false,
            download: false,
        }
    }

    /// The session's token; every form of a signed-in page has it.
    #[must_use]
    pub fn csrf(mut self, csrf: impl Into<String>) -> Self {
        self.csrf = Some(csrf.into());
        self
    }

    #[must_use]
    pub fn hidden(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.hidden.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn field(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    #[must_use]
    pub fn weight(mut self, weight: Weight) -> Self {
        self.weight = weight;
        self
    }

    /// Its answer is a file: sent by the browser itself.
    #[must_use]
    pub fn download(mut self) -> Self {
        self.download = true;
        self
    }

    /// What the button is for, where only its place on the page shows it.
    #[must_use]
    pub fn of(mut self, what: impl Into<String>) -> Self {
        self.submit_of = Some(what.into());
        self
    }

    /// A link beside the button that leaves without saving.
    #[must_use]
    pub fn cancel(mut self, href: impl Into<String>) -> Self {
        self.cancel = Some(href.into());
        self
    }

    /// Sends files as they are.
    #[must_use]
    pub fn upload(mut self) -> Self {
        self.upload = true;
        self
    }

    /// Fields and button on one line where there is room.
    #[must_use]
    pub fn inline(mut self) -> Self {
        self.inline = true;
        self
    }
}
