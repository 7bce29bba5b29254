interface FieldProps {
  readonly label: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly placeholder?: string;
  readonly type?: 'text' | 'password' | 'number';
}

export function Field({ label, value, onValue, placeholder = '', type = 'text' }: FieldProps) {
  const shared = {
    ...{ autocomplete: type === 'password' ? 'new-password' : 'off', spellcheck: false, placeholder, value },
    onInput: ({ currentTarget: { value: typed } }: { readonly currentTarget: HTMLInputElement }) =>
      onValue(type === 'password' ? typed : typed.trim()),
  } as const;
  return (
    <label class="field">
      {label}
      {type === 'password' ? (
        <input type="password" {...shared} />
      ) : (
        <input {...shared} inputMode={type === 'number' ? 'numeric' : 'text'} />
      )}
    </label>
  );
}
